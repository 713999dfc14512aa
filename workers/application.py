"""The application by the environment's settings, for Celery's own commands: `celery -A mayfly.workers.application`."""

from __future__ import annotations

from mayfly.settings import Settings
from mayfly.tasks.app import create

app = create(Settings())
