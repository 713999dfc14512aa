"""Tasks: the Celery application, the topology of the broker, the task bodies and the rules of retry."""
