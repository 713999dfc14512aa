"""No two transactions that change several rows wait for each other, however those rows lie in their tables."""

import concurrent.futures
import time
import uuid

import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs, personal, refusals, segments
from mayfly.db import engine as engines
from mayfly.db.segments import Plan
from mayfly.db.states import Stage, State
from mayfly.db.tables import ASSETS, SEGMENTS
from tests import clock, rows

LOW, HIGH = uuid.UUID(int=1), uuid.UUID(int=2)
WAITING = sa.text(
    "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
)
pytestmark = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


@pytest.fixture
def both(engine, queued):
    """Two jobs, of which the one with the higher id comes first wherever a whole table is read."""
    return [jobs.get(engine, queued(job_id=job_id, stage=Stage.EFFECT)) for job_id in (HIGH, LOW)]


@pytest.fixture
def meets(engine):
    """Call something that wants two rows while another connection has one of them and then wants the other."""

    def call(action, want, low=LOW, high=HIGH):
        with concurrent.futures.ThreadPoolExecutor(1) as pool, engine.connect() as other:
            with other.begin():
                want(other, low)
                found = pool.submit(action)
                end = time.monotonic() + 60
                with engines.reading(engine) as connection:
                    while not found.done() and not connection.execute(WAITING).scalar():
                        assert time.monotonic() < end
                # PostgreSQL would end one of the two.
                want(other, high)
            return found.result(60)

    return call


def lock(connection, job_id):
    personal.lock(connection, [job_id])


def test_jobs_that_are_queued_again(engine, both, change, meets):
    for job in both:
        assert claims.take(engine, job.id, stage=Stage.EFFECT, holder="a", lease=60)
        change(job.id, lease_until=clock.after(-1))
    assert meets(lambda: jobs.requeue_lapsed(engine), lock) == [HIGH]
    assert jobs.requeue_lapsed(engine) == [LOW]
    assert {jobs.get(engine, job.id).state for job in both} == {State.QUEUED}


def test_jobs_whose_messages_were_sent(engine, both, meets):
    meets(lambda: jobs.mark_sent(engine, both), lock)
    assert jobs.unsent(engine, limit=9) == []


def test_jobs_whose_personal_fields_had_stayed(engine, both, change, meets):
    for job in both:
        jobs.end(engine, job.id, to=State.CANCELLED)
        assets.record_destruction(engine, *assets.of_job(engine, job.id), verified="x")
        change(job.id, owner="left")
    assert meets(lambda: personal.forget_left_behind(engine, most=9), lock) == 1
    assert personal.forget_left_behind(engine, most=9) == 1


def test_assets_that_could_not_be_destroyed(engine, both, meets):
    high, low = (assets.of_job(engine, job.id)[0] for job in both)
    assert meets(lambda: refusals.put_off(engine, [high.id, low.id]), destroyed, low=low.id, high=high.id) is None
    assert refusals.count(engine)[0] == 0


def destroyed(connection, asset_id):
    connection.execute(sa.update(ASSETS).where(ASSETS.c.id == asset_id).values(state="destroyed"))


@pytest.fixture
def cut(engine, both):
    """A video in two segments, of which the second comes first; returns how another connection locks one."""
    claim = claims.take(engine, LOW, stage=Stage.EFFECT, holder="a", lease=60)
    pieces = [rows.reserve(engine, LOW).id for _ in range(2)]
    planned = [Plan(piece_id=piece, size=1, window={}) for piece in pieces]
    found = segments.plan(engine, claim, planned, video={}, units_total=2)
    move(engine, 1)
    move(engine, 0)

    def want(connection, number):
        connection.execute(sa.select(SEGMENTS).where(SEGMENTS.c.number == number).with_for_update())

    return found, want


def move(engine, number, **values):
    """A row that is written comes behind the others."""
    with engine.begin() as connection:
        connection.execute(sa.update(SEGMENTS).where(SEGMENTS.c.number == number).values(outcome="x", **values))


def test_segments_that_are_queued_again(engine, cut, meets):
    _, want = cut
    for number in (1, 0):
        assert segments.take(engine, LOW, number, holder="a", lease=60)
        move(engine, number, lease_until=clock.after(-1))
    assert meets(lambda: segments.requeue_lapsed(engine), want, low=0, high=1) == 1
    assert segments.requeue_lapsed(engine) == 1


def test_segments_whose_messages_were_sent(engine, cut, meets):
    found, want = cut
    meets(lambda: segments.mark_sent(engine, found[::-1]), want, low=0, high=1)
    assert segments.unsent(engine, limit=9) == []
