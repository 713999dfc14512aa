"""A runtime of this process without a broker: real database and folder, a sender that remembers."""

import io

import pytest

from mayfly.db import claims, jobs, segments
from mayfly.db.segments import Plan
from mayfly.db.states import Stage
from mayfly.media.storage.folder import FolderStore
from mayfly.purge.destroyer import Destroyer
from mayfly.purge.policy import Policy
from mayfly.tasks import limits
from mayfly.tasks.runtime import Runners, Runtime
from tests import rows


class Sender:
    """Remembers what it was told to send; the broker is away when `away` is set."""

    def __init__(self, engine):
        self.engine = engine
        self.sent = []
        self.away = False

    def send(self, waiting):
        found = [] if self.away else list(waiting)
        self.sent += [job.id for job in found]
        jobs.mark_sent(self.engine, found)
        return len(found)

    def send_segments(self, waiting):
        found = [] if self.away else [segment for _, segment in waiting]
        self.sent += [(segment.job_id, segment.number) for segment in found]
        segments.mark_sent(self.engine, found)
        return len(found)


def opened(settings, engine, folder, sender):
    """A runtime whose objects and scratch are in a folder."""
    store = FolderStore(folder / "objects")
    store.prepare()
    return Runtime(
        settings=settings,
        engine=engine,
        store=store,
        policy=Policy.of(settings),
        limits=limits.of(settings),
        destroyer=Destroyer(engine, store),
        sender=sender,
        runners=Runners("cpu"),
        scratch=folder / "scratch",
    )


@pytest.fixture
def rt(engine, embedded, tmp_path):
    settings = embedded.model_copy(update={"lease": 30.0, "retry_delay": 7.0})
    found = opened(settings, engine, tmp_path, Sender(engine))
    yield found
    found.close()


@pytest.fixture
def job(rt):
    """Make a queued job whose input is stored; returns its id."""

    def make(*, content=b"content", upload=True, **changes):
        values = {"effect": "pass-through", "parameters": {}, "consent": None}
        row, asset = rows.create(rt.engine, **values | changes)
        rt.store.put(asset.key, io.BytesIO(content), len(content))
        if upload:
            assert jobs.mark_uploaded(rt.engine, row.id, asset.id, size=len(content))
        return row.id

    return make


@pytest.fixture
def cut(rt, job):
    """Make a job of two segments; returns its id."""

    def make():
        job_id = job(media="video", stage=Stage.EFFECT)
        claim = claims.take(rt.engine, job_id, stage=Stage.EFFECT, holder="planner", lease=60)
        pieces = [rows.reserve(rt.engine, job_id).id for _ in range(2)]
        planned = [Plan(piece_id=piece, size=5, window={}) for piece in pieces]
        assert segments.plan(rt.engine, claim, planned, video={}, units_total=30)
        return job_id

    return make
