"""What Mayfly is measured against: a Celery task that gets bytes and puts them, and does nothing else."""

from __future__ import annotations

import io
import os
import uuid

import celery

from media import storage
from settings import Settings

_settings = Settings()
app = celery.Celery("bare", broker=_settings.resolved_broker_url, backend="rpc://")
app.conf.task_default_queue = "bare"
_stores: dict[int, storage.Store] = {}


def store() -> storage.Store:
    """The store of this process."""
    return _stores.setdefault(os.getpid(), storage.connect(_settings.resolved_storage_url))


@app.task(name="bare.copy")
def copy(key: str) -> str:
    """Copy an object and return the copy's key."""
    content = store().read(key)
    target = f"bare/{uuid.uuid4()}"
    store().put(target, io.BytesIO(content), len(content))
    return target
