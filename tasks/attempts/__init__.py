"""One claim on a unit of work: the work under a watch, retries, and what follows from how it ended."""
