"""A sweep of many due assets against nothing but the deletes of as many objects, on the same server by the same client.

The sweep also proves that each object is gone, writes its receipt and blanks the personal fields of its job. Before and
after it, half of the bare deletes each, so that a change of the machine's speed meets both alike.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import io
import time
import urllib.parse
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import minio.deleteobjects
import psutil
import sqlalchemy as sa

from benchmarks import report, servers
from mayfly.db import clock
from mayfly.db import engine as engines
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import ASSETS, JOBS, RECEIPTS
from mayfly.media import storage
from mayfly.media.storage.s3 import S3Store
from mayfly.purge import sweeper

DUE, WARM = 10_000, 500
FEW = 1_000  # as many as go into one request
BYTES = 1_000
MB = 1_000_000


def main() -> dict[str, float]:
    """Assets a second, their ratio to bare deletes, and the memory that the sweep takes."""
    found = servers.settings()
    with servers.database(found.resolved_database_url) as engine, _bucket(found.resolved_storage_url) as store:
        _make_due(engine, store, WARM)
        sweeper.sweep(engine, store)
        halves = [_stored(store, DUE // 2) for _ in range(2)]
        alone, together = (_stored(store, FEW) for _ in range(2))
        jobs = _make_due(engine, store, DUE)
        before = report.timed(lambda: _delete(store, halves[0], sweeper.THREADS))
        with _peak() as memory:
            start = time.perf_counter()
            swept = sweeper.sweep(engine, store)
            seconds = time.perf_counter() - start
        after = report.timed(lambda: _delete(store, halves[1], sweeper.THREADS))
        slow = report.timed(lambda: _delete(store, alone, 1))
        bulk = report.timed(lambda: store.destroy_many(together))
        assert (swept.destroyed, swept.failed) == (DUE, 0), swept
        assert list(store.objects()) == []
        with engines.reading(engine) as connection:
            written = connection.execute(sa.select(sa.func.count()).where(RECEIPTS.c.job_id == jobs[-1])).scalar_one()
            left = connection.execute(sa.select(sa.func.count()).where(JOBS.c.owner.is_not(None))).scalar_one()
        assert (written, left) == (1, 0)
    bare = DUE / (before + after)
    return {
        "due assets": DUE,
        "sweep, assets/s": DUE / seconds,
        "bare deletes in as many threads, objects/s": bare,
        "bare deletes one by one, objects/s": FEW / slow,
        "bare deletes in one request, objects/s": FEW / bulk,
        "sweep ÷ bare deletes in as many threads (at least 0.7)": DUE / seconds / bare,
        "sweep ÷ bare deletes one by one": DUE / seconds / (FEW / slow),
        "sweep ÷ bare deletes in one request": DUE / seconds / (FEW / bulk),
        "memory before the sweep, MB": memory["before"],
        "memory at its peak, MB": memory["peak"],
        "growth, MB (at most 10)": memory["peak"] - memory["before"],
    }


def _make_due(engine: sa.Engine, store: S3Store, number: int) -> list[uuid.UUID]:
    """Finished jobs whose results are stored and due."""
    ids = [(uuid.uuid4(), uuid.uuid4()) for _ in range(number)]
    moments = {"created_at": clock.now(), "due_at": clock.after(-60), "deadline_at": clock.after(3600)}
    kept: dict[str, Any] = {"retention": Retention.RESULT.value, "state": AssetState.STORED.value, "suffix": ".jpg"}
    done = {"effect": "anime", "media": "image", "state": State.DONE.value, "stage": Stage.EFFECT.value}
    personal = {"owner": "somebody", "consent": "yes"}
    with engine.begin() as connection:
        jobs = sa.insert(JOBS).values(created_at=clock.now(), finished_at=clock.now())
        connection.execute(jobs, [done | personal | {"id": job} for job, _ in ids])
        rows = [kept | {"id": asset, "job_id": job, "size": BYTES, "key": _key(job, asset)} for job, asset in ids]
        connection.execute(sa.insert(ASSETS).values(**moments), rows)
    _put(store, [_key(job, asset) for job, asset in ids])
    return [job for job, _ in ids]


def _key(job: uuid.UUID, asset: uuid.UUID) -> str:
    return f"{Retention.RESULT.value}/{job}/1/{asset}"


def _stored(store: S3Store, number: int) -> list[str]:
    """Objects under keys such as results have, of which no table knows."""
    return _put(store, [_key(uuid.uuid4(), uuid.uuid4()) for _ in range(number)])


def _put(store: S3Store, keys: list[str]) -> list[str]:
    content = bytes(BYTES)
    with concurrent.futures.ThreadPoolExecutor(sweeper.THREADS) as pool:
        for _ in pool.map(lambda key: store.put(key, io.BytesIO(content), BYTES), keys):
            continue
    return keys


def _delete(store: S3Store, keys: list[str], threads: int) -> None:
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(lambda key: store.client.remove_object(store.bucket, key), keys):
            continue


@contextlib.contextmanager
def _peak() -> Iterator[dict[str, float]]:
    """The memory of this process before the block and at its peak in it, by the kernel, which misses nothing."""
    found = {"before": psutil.Process().memory_info().rss / MB}
    Path("/proc/self/clear_refs").write_text("5")
    yield found
    lines = Path("/proc/self/status").read_text().splitlines()
    found["peak"] = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")) / MB


@contextlib.contextmanager
def _bucket(url: str) -> Iterator[S3Store]:
    """A bucket of this run alone."""
    name = f"bench-{uuid.uuid4().hex[:12]}"
    store = storage.connect(urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl())
    assert isinstance(store, S3Store)
    store.prepare()
    try:
        yield store
    finally:
        left = [minio.deleteobjects.DeleteObject(entry.key) for entry in store.objects()]
        for error in store.client.remove_objects(name, left):
            raise RuntimeError(error.code)
        store.client.remove_bucket(name)
