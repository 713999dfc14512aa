"""The Celery application."""

from __future__ import annotations

import celery

from mayfly import celeryconfig
from mayfly.settings import Settings


def create(settings: Settings) -> celery.Celery:
    """An application for the broker that the settings name; everything else is celeryconfig's."""
    app = celery.Celery("mayfly")
    app.config_from_object("mayfly.celeryconfig")
    app.conf.update(celeryconfig.broker(settings), imports=celeryconfig.modules(settings))
    return app


# Services import the application from here, and so does `celery -A mayfly.tasks.app`.
app = create(Settings())
