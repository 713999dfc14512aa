"""A store that can fail, and uploads that are due."""

import io

import pytest

from mayfly.db import jobs
from mayfly.media.errors import StorageUnavailable
from mayfly.media.storage.folder import FolderStore
from tests import clock, rows


class Store(FolderStore):
    """A folder that can be told to fail, or to lie about what it deletes."""

    broken = False
    lies = False

    def destroy(self, key, **options):
        if self.broken:
            raise StorageUnavailable("the object store does not answer")
        if not self.lies:
            super().destroy(key, **options)


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path / "objects")
    opened.prepare()
    return opened


@pytest.fixture
def uploaded(engine, store):
    """Make a queued job whose input is stored and due in `seconds`; returns the job's id and the asset."""

    def make(seconds, *, upload=True, **changes):
        job, asset = rows.create(engine, due_at=clock.after(seconds), **{"consent": None, "parameters": {}} | changes)
        store.put(asset.key, io.BytesIO(b"content"), 7)
        if upload:
            assert jobs.mark_uploaded(engine, job.id, asset.id, size=7)
        return job.id, asset

    return make
