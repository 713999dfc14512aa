"""Workers: the processes that run the tasks, and what they own on their machine."""
