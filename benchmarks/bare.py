"""What Mayfly is measured against: a Celery task that copies bytes, and one that does the work of a photo job."""

from __future__ import annotations

import io
import os
import uuid

import celery

from mayfly.media import storage
from mayfly.media.errors import StorageError
from mayfly.settings import Settings
from mayfly.tasks import limits

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


@app.task(name="bare.recode")
def recode(key: str) -> str:
    """Get, decode, encode, put, delete the upload, verify, as a job does; returns the result's key.

    No row, no claim, no lease: when this process dies, nobody knows of the upload.
    """
    from mayfly.media.image import codec

    picture = codec.decode(store().read(key), limits.of(_settings))
    encoded = codec.encode(picture, quality=_settings.image_quality)
    target = f"bare/{uuid.uuid4()}"
    store().put(target, io.BytesIO(encoded), len(encoded))
    store().destroy(key)
    if store().size(key) is not None:
        raise StorageError("the store still has an object that it was told to delete")
    return target
