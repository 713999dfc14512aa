"""What becomes of a unit whose message the broker gave up."""

import datetime
import uuid

import pytest

from mayfly.db import assets, claims, jobs, segments
from mayfly.db.dead_letters import Answer
from mayfly.db.segments import Plan
from mayfly.db.states import Retention, Stage, State
from mayfly.tasks.messages import dead_letters
from mayfly.tasks.messages.envelope import Unit

HOLDER = "h:1:1.0:1"
HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def cut(rt, job):
    """Make a job that is cut into two segments; returns its id."""

    def make():
        job_id = job(media="video", stage=Stage.EFFECT)
        claim = claims.take(rt.engine, job_id, stage=Stage.EFFECT, holder=HOLDER, lease=60)
        term = {"due_after": HOUR, "deadline_after": HOUR, "lease": 60, "attempt": 1, "suffix": ".mp4"}
        with rt.engine.begin() as connection:
            pieces = [assets.reserve(connection, job_id, retention=Retention.INTERMEDIATE, **term) for _ in range(2)]
        planned = [Plan(piece_id=piece.id, size=5, window={}) for piece in pieces]
        assert segments.plan(rt.engine, claim, planned, video={}, units_total=20)
        return job_id

    return make


def sent(rt, job_id):
    jobs.mark_sent(rt.engine, [jobs.get(rt.engine, job_id)])
    return not any(found.id == job_id for found in jobs.unsent(rt.engine, limit=9))


def test_a_queued_job_gets_another_message(rt, job):
    job_id = job()
    assert sent(rt, job_id)
    assert dead_letters.settle(rt, Unit(job_id)) is Answer.RETURNED
    assert [found.id for found in jobs.unsent(rt.engine, limit=9)] == [job_id]


def test_a_message_that_always_dies_ends_as_a_failed_job(rt, job):
    job_id = job()
    answers = [dead_letters.settle(rt, Unit(job_id)) for _ in range(dead_letters.RETURNS + 1)]
    assert answers == [Answer.RETURNED] * dead_letters.RETURNS + [Answer.LOST]
    found = jobs.get(rt.engine, job_id)
    assert (found.state, found.error) == (State.FAILED, "worker_lost")
    assert list(rt.store.objects()) == []


def test_whoever_has_a_job_keeps_it(rt, job, change):
    job_id = job()
    change(job_id, dead_letters=dead_letters.RETURNS)
    claim = claims.take(rt.engine, job_id, stage=Stage.INGEST, holder=HOLDER, lease=60)
    assert dead_letters.settle(rt, Unit(job_id)) is Answer.DECIDED
    assert claims.extend(rt.engine, claim)
    assert claims.wait(rt.engine, claim, delay=60, outcome="x")
    assert dead_letters.settle(rt, Unit(job_id)) is Answer.DECIDED
    assert jobs.get(rt.engine, job_id).state is State.WAITING


def test_a_job_that_has_ended_stays_as_it_is(rt, job):
    job_id = job()
    jobs.end(rt.engine, job_id, to=State.CANCELLED)
    assert dead_letters.settle(rt, Unit(job_id)) is Answer.DECIDED
    assert jobs.get(rt.engine, job_id).state is State.CANCELLED


def test_nobody_knows_the_job(rt):
    assert dead_letters.settle(rt, Unit(uuid.uuid4())) is Answer.UNKNOWN


def test_a_queued_segment_gets_another_message(rt, cut):
    job_id = cut()
    segments.mark_sent(rt.engine, [segment for _, segment in segments.unsent(rt.engine, limit=9)])
    assert dead_letters.settle(rt, Unit(job_id, 1)) is Answer.RETURNED
    assert [segment.number for _, segment in segments.unsent(rt.engine, limit=9)] == [1]


def test_a_segments_message_that_always_dies_fails_its_job(rt, cut):
    job_id = cut()
    answers = [dead_letters.settle(rt, Unit(job_id, 0)) for _ in range(dead_letters.RETURNS + 1)]
    assert answers == [Answer.RETURNED] * dead_letters.RETURNS + [Answer.LOST]
    assert (jobs.get(rt.engine, job_id).state, jobs.get(rt.engine, job_id).error) == (State.FAILED, "worker_lost")


def test_whoever_has_a_segment_keeps_it(rt, cut):
    job_id = cut()
    claim = segments.take(rt.engine, job_id, 0, holder=HOLDER, lease=60)
    assert dead_letters.settle(rt, Unit(job_id, 0)) is Answer.DECIDED
    assert segments.extend(rt.engine, claim)


def test_a_segment_that_does_not_exist(rt, cut):
    assert dead_letters.settle(rt, Unit(cut(), 7)) is Answer.UNKNOWN
