"""The Celery application, made by settings; importing this reads nothing."""

from __future__ import annotations

import importlib
from typing import Any

import celery
from celery.loaders.app import AppLoader

from mayfly import celeryconfig
from mayfly.settings import Settings


class Loader(AppLoader):  # type: ignore[misc]
    """Celery's own, but for the folder that a process is started in: that may hold anybody's modules."""

    def import_from_cwd(self, module: str, imp: object = None, package: str | None = None) -> Any:
        return importlib.import_module(module, package)


def create(settings: Settings) -> celery.Celery:
    """An application for the broker that the settings name; everything else is celeryconfig's."""
    app = celery.Celery("mayfly", loader=Loader)
    app.config_from_object("mayfly.celeryconfig")
    app.conf.update(celeryconfig.of(settings))
    return app
