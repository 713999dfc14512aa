"""Rows have a term of their own; what is left of them is a count."""

import datetime
import uuid

import pytest
import sqlalchemy as sa

from mayfly.db import assets, history, jobs, segments
from mayfly.db.history import Counted
from mayfly.db.states import Retention, Stage, State
from mayfly.db.tables import ASSETS, ATTEMPTS, DAILY_COUNTS, JOBS, RECEIPTS, SEGMENTS, Base
from mayfly.purge import history as purge_history
from tests import clock, rows

LIFE = 1000.0
OF_JOBS = (JOBS, ASSETS, ATTEMPTS, SEGMENTS, RECEIPTS)


@pytest.fixture
def emptied(engine, create, change):
    """Make a job that has ended, and whose only asset is destroyed; emptied so many seconds ago. Returns its id."""

    def make(ago, *, to=State.CANCELLED, **changes):
        job, asset = create(**changes)
        jobs.end(engine, job.id, to=to)
        assets.record_destruction(engine, asset, verified="absent")
        change(job.id, emptied_at=clock.after(-ago))
        return job.id

    return make


def left(engine, table=JOBS):
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()


def test_it_is_noted_when_the_last_asset_goes(engine, create, row):
    job, asset = create()
    with engine.begin() as connection:
        term = {"due_after": rows.HOUR, "deadline_after": rows.HOUR, "lease": 60, "suffix": ".jpg", "attempt": 1}
        other = assets.reserve(connection, job.id, retention=Retention.RESULT, **term)
    assets.record_destruction(engine, asset, verified="absent")
    jobs.end(engine, job.id, to=State.FAILED)
    assert row(job.id)["emptied_at"] is None
    assets.record_destruction(engine, other, verified="absent")
    first = row(job.id)["emptied_at"]
    assert abs((first - clock.now()).total_seconds()) < 60
    assets.record_destruction(engine, other, verified="absent")
    assert row(job.id)["emptied_at"] == first


def test_rows_go_when_their_term_is_over(engine, emptied):
    emptied(LIFE + 60)
    young = emptied(LIFE - 60)
    assert history.forget(engine, life=LIFE, limit=10) == 1
    with engine.connect() as connection:
        assert list(connection.execute(sa.select(JOBS.c.id)).scalars()) == [young]
        for table in (ASSETS, RECEIPTS):
            assert list(connection.execute(sa.select(table.c.job_id)).scalars()) == [young]


def test_a_job_that_lives_or_has_an_asset_stays(engine, create, emptied, change):
    living, _ = create()
    held = emptied(LIFE + 60)
    with engine.begin() as connection:
        term = {"due_after": rows.HOUR, "deadline_after": rows.HOUR, "lease": 60, "suffix": ".jpg", "attempt": 1}
        assets.reserve(connection, held, retention=Retention.RESULT, **term)
    assert history.forget(engine, life=LIFE, limit=10) == 0
    assert {job.id for job in jobs.recent(engine, limit=9)} == {living.id, held}


def test_everything_of_a_long_video_goes(engine, queued, change):
    from mayfly.db import claims

    job_id = queued(media="video", stage=Stage.EFFECT)
    claim = claims.take(engine, job_id, stage=Stage.EFFECT, holder="a", lease=60)
    with engine.begin() as connection:
        term = {"due_after": rows.HOUR, "deadline_after": rows.HOUR, "lease": 60, "suffix": ".mp4", "attempt": 1}
        piece = assets.reserve(connection, job_id, retention=Retention.INTERMEDIATE, **term)
    planned = [segments.Plan(piece_id=piece.id, size=7, window={})]
    assert segments.plan(engine, claim, planned, video={}, units_total=1)
    jobs.end(engine, job_id, to=State.FAILED, error="expired")
    for asset in assets.of_job(engine, job_id):
        assets.record_destruction(engine, asset, verified="absent")
    assert all(left(engine, table) for table in OF_JOBS)
    change(job_id, emptied_at=clock.after(-LIFE - 60))
    assert history.forget(engine, life=LIFE, limit=10) == 1
    assert not any(left(engine, table) for table in OF_JOBS)


def test_what_goes_is_counted_by_day(engine, emptied, change):
    today, before = clock.now().date(), clock.now().date() - datetime.timedelta(days=3)
    for to in (State.CANCELLED, State.FAILED, State.FAILED):
        emptied(LIFE + 60, to=to)
    earlier = emptied(LIFE + 60, effect="body", retention=Retention.FACE_INPUT)
    change(earlier, finished_at=clock.after(-3 * 86400))
    with engine.begin() as connection:
        late = {"destroyed_at": clock.after(-3 * 86400), "deadline_at": clock.after(-4 * 86400)}
        connection.execute(sa.update(RECEIPTS).where(RECEIPTS.c.job_id == earlier).values(**late))
    # In two turns, so that the second adds to the first.
    assert [history.forget(engine, life=LIFE, limit=2) for _ in range(3)] == [2, 2, 0]
    assert history.counts(engine) == {
        Counted(before, "job", "body", "cancelled"): 1,
        Counted(before, "receipt", "face_input", "late"): 1,
        Counted(today, "job", "anime", "cancelled"): 1,
        Counted(today, "job", "anime", "failed"): 2,
        Counted(today, "receipt", "input", "in_time"): 3,
    }


def test_a_count_is_of_nobody():
    assert set(DAILY_COUNTS.columns.keys()) == {"day", "kind", "name", "outcome", "count"}


def test_a_sweep_goes_on_batch_by_batch(engine, emptied, monkeypatch):
    monkeypatch.setattr(purge_history, "BATCH", 2)
    for _ in range(5):
        emptied(LIFE + 60)
    emptied(LIFE - 60)
    assert purge_history.sweep(engine, life=LIFE) == 5
    assert left(engine) == 1


def test_one_sweep_has_an_end(engine, emptied, monkeypatch):
    monkeypatch.setattr(purge_history, "BATCH", 1)
    monkeypatch.setattr(purge_history, "MOST", 2)
    for _ in range(3):
        emptied(LIFE + 60)
    assert purge_history.sweep(engine, life=LIFE) == 2


def test_two_sweeps_at_once_count_each_job_once(postgresql, request):
    for table in reversed(Base.metadata.sorted_tables):
        with postgresql.begin() as connection:
            connection.execute(sa.delete(table))
    for _ in range(2):
        job, asset = rows.create(postgresql, job_id=uuid.uuid4())
        jobs.end(postgresql, job.id, to=State.CANCELLED)
        assets.record_destruction(postgresql, asset, verified="absent")
    with postgresql.begin() as connection:
        connection.execute(sa.update(JOBS).values(emptied_at=clock.after(-LIFE - 60)))
        # As another sweep has it.
        connection.execute(sa.select(JOBS.c.id).order_by(JOBS.c.id).limit(1).with_for_update())
    with postgresql.begin() as other:
        other.execute(sa.select(JOBS.c.id).order_by(JOBS.c.id).limit(1).with_for_update())
        assert history.forget(postgresql, life=LIFE, limit=10) == 1
    assert history.forget(postgresql, life=LIFE, limit=10) == 1
    assert sum(count for line, count in history.counts(postgresql).items() if line.kind == "job") == 2
