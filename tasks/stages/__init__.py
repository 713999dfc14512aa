"""The stages of a job, a Celery task each: ingest, effect, join."""
