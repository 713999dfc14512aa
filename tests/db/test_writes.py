"""What each operation writes into the rows, column by column, and that it writes nothing else.

Moments are told as "now", or as the seconds from now; a lease is so long that no load of the machine matters.
"""

import datetime
import uuid

import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs, segments
from mayfly.db.segments import Plan
from mayfly.db.states import Retention, Stage, State
from mayfly.db.tables import ASSETS, ATTEMPTS, JOBS, SEGMENTS
from tests import clock, rows
from tests.rows import HOUR

LEASE, DELAY = 36_000, 72_000
OLD = -144_000  # seconds from now, of what stood there before
BEFORE = {
    "retry_at": clock.after(OLD),
    "sent_at": clock.after(OLD),
    "queued_at": clock.after(OLD),
    "returns": 3,
    "dead_letters": 1,
}
WORKED = {"started_at": clock.after(OLD), "units_done": 4, "units_total": 9}


def told(value):
    """A value as a test can write it down."""
    if not isinstance(value, datetime.datetime):
        return value
    if value.tzinfo is None:
        value = value.replace(tzinfo=datetime.UTC)
    seconds = (value - clock.now()).total_seconds()
    return "now" if abs(seconds) < 9_000 else round(seconds / 18_000) * 18_000


def read(engine, table, *condition):
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).where(*condition)).mappings().one()
        return {name: told(value) for name, value in found.items()}


def changes(before, after):
    return {name: value for name, value in after.items() if value != before[name]}


@pytest.fixture
def job(engine, queued, change):
    """A queued job that had a past; returns its id."""

    def make(**options):
        job_id = queued(**options)
        change(job_id, **BEFORE)
        return job_id

    return make


@pytest.fixture
def claim(engine, job, change):
    """A job that is ours, at its second stage's second attempt."""
    job_id = job(stage=Stage.EFFECT)
    change(job_id, **WORKED, attempt=6, tries=1)
    return claims.take(engine, job_id, stage=Stage.EFFECT, holder="host:1:1.0:1", lease=LEASE)


def written(engine, job_id, operation):
    """What an operation changes in a job's row."""
    before = read(engine, JOBS, JOBS.c.id == job_id)
    operation()
    return changes(before, read(engine, JOBS, JOBS.c.id == job_id))


def attempt(engine, claim):
    return read(engine, ATTEMPTS, ATTEMPTS.c.job_id == claim.job.id, ATTEMPTS.c.number == claim.fence)


def test_a_new_job_is_what_was_asked_for(engine):
    wanted = {
        "effect": "anime",
        "media": "video",
        "stage": Stage.EFFECT,
        "units_total": 7,
        "parameters": {"strength": 1},
        "output": {"preview": True},
        "owner": "o",
        "consent": "c",
        "idempotency_key": "k",
        "fingerprint": "f",
    }
    job, _ = rows.create(engine, lease=LEASE, size=9, **wanted)
    found = read(engine, JOBS, JOBS.c.id == job.id)
    written = {name: value for name, value in found.items() if value is not None}
    zero = dict.fromkeys(("attempt", "tries", "returns", "dead_letters", "units_done"), 0)
    own = {"id": job.id, "state": "uploading", "created_at": "now", "lease_until": LEASE, "input_bytes": 9}
    assert written == own | zero | wanted | {"stage": "effect"}


def test_an_upload(engine, create):
    job, asset = create(lease=60)
    assert written(engine, job.id, lambda: jobs.extend_upload(engine, job.id, asset.id, lease=LEASE)) == {
        "lease_until": LEASE
    }
    assert read(engine, ASSETS, ASSETS.c.id == asset.id)["lease_until"] == LEASE
    assert written(engine, job.id, lambda: jobs.mark_uploaded(engine, job.id, asset.id, size=7)) == {
        "state": "queued",
        "lease_until": None,
        "queued_at": "now",
    }
    assert written(engine, job.id, lambda: jobs.mark_sent(engine, [jobs.get(engine, job.id)])) == {"sent_at": "now"}


@pytest.mark.parametrize("again", [False, True])
def test_a_claim(engine, job, change, again):
    job_id = job()
    if again:
        change(job_id, **WORKED)

    def take():
        assert claims.take(engine, job_id, stage=Stage.INGEST, holder="host:1:1.0:1", lease=LEASE)

    found = written(engine, job_id, take)
    started = {} if again else {"started_at": "now"}
    held = {"state": "running", "lease_until": LEASE, "holder": "host:1:1.0:1"}
    assert found == held | {"attempt": 1, "tries": 1} | started
    (opened,) = [read(engine, ATTEMPTS, ATTEMPTS.c.job_id == job_id)]
    assert opened == {
        "job_id": job_id,
        "number": 1,
        "stage": "ingest",
        "holder": "host:1:1.0:1",
        "started_at": "now",
        "ended_at": None,
        "outcome": None,
    }


def test_a_claim_and_its_names(engine, claim):
    assert (claim.fence, claim.tries, claim.lease, claim.name) == (7, 2, LEASE, f"{claim.job.id}-7")
    assert claim.input.retention is Retention.INPUT


def test_a_heartbeat(engine, claim, change):
    change(claim.job.id, lease_until=clock.after(60))
    assert written(engine, claim.job.id, lambda: claims.extend(engine, claim)) == {"lease_until": LEASE}
    assert written(engine, claim.job.id, lambda: claims.extend(engine, claim, done=0)) == {"units_done": 0}


def test_the_next_stage(engine, claim):
    facts = {"source": 1}

    def advance():
        assert claims.advance(engine, claim, to=Stage.JOIN, units_total=12, video=facts)

    assert written(engine, claim.job.id, advance) == {
        "state": "queued",
        "stage": "join",
        "tries": 0,
        "returns": 0,
        "sent_at": None,
        "queued_at": "now",
        "started_at": None,
        "lease_until": None,
        "holder": None,
        "units_total": 12,
        "video": facts,
    }
    assert (attempt(engine, claim)["outcome"], attempt(engine, claim)["ended_at"]) == ("done", "now")


@pytest.mark.parametrize("units", [9, None])
def test_an_end(engine, claim, change, units):
    change(claim.job.id, units_total=units)
    with engine.begin() as connection:
        made = [
            assets.reserve(
                connection,
                claim.job.id,
                retention=retention,
                suffix=".jpg",
                attempt=7,
                due_after=100 * HOUR,
                deadline_after=200 * HOUR,
                lease=LEASE,
            ).id
            for retention in (Retention.RESULT, Retention.PREVIEW, Retention.PREVIEW)
        ]

    def finish():
        due = claims.finish(engine, claim, result_id=made[0], size=5, previews={made[1]: 6})
        assert {asset.id for asset in due} == {claim.input.id, made[2]}

    assert written(engine, claim.job.id, finish) == {
        "state": "done",
        "finished_at": "now",
        "lease_until": None,
        "holder": None,
        "parameters": None,
        "units_done": units or 1,
    }
    found = [read(engine, ASSETS, ASSETS.c.id == one) for one in made]
    assert [(asset["state"], asset["size"], asset["due_at"]) for asset in found] == [
        ("stored", 5, 360_000),
        ("stored", 6, 360_000),
        ("pending", None, "now"),
    ]
    assert (attempt(engine, claim)["outcome"], attempt(engine, claim)["ended_at"]) == ("done", "now")


@pytest.mark.parametrize("counted", [True, False])
def test_a_wait(engine, claim, counted):
    def wait():
        assert claims.wait(engine, claim, delay=DELAY, outcome="x", counted=counted)

    back = {} if counted else {"tries": 1, "returns": 4}
    assert written(engine, claim.job.id, wait) == back | {
        "state": "waiting",
        "retry_at": DELAY,
        "started_at": None,
        "lease_until": None,
        "holder": None,
    }
    assert (attempt(engine, claim)["outcome"], attempt(engine, claim)["ended_at"]) == ("x", "now")


def test_a_hand_back(engine, claim):
    assert written(engine, claim.job.id, lambda: claims.hand_back(engine, claim, outcome="x")) == {
        "state": "queued",
        "tries": 1,
        "returns": 4,
        "sent_at": None,
        "queued_at": "now",
        "started_at": None,
        "lease_until": None,
        "holder": None,
    }
    assert (attempt(engine, claim)["outcome"], attempt(engine, claim)["ended_at"]) == ("x", "now")


def test_a_failure(engine, claim):
    def fail():
        assert claims.fail(engine, claim, error="damaged_media", error_text="x" * 900)

    assert written(engine, claim.job.id, fail) == {
        "state": "failed",
        "finished_at": "now",
        "lease_until": None,
        "holder": None,
        "parameters": None,
        "error": "damaged_media",
        "error_text": "x" * 500,
    }
    assert read(engine, ASSETS, ASSETS.c.id == claim.input.id)["due_at"] == "now"


def test_an_end_from_outside(engine, claim):
    def end():
        assert jobs.end(engine, claim.job.id, to=State.FAILED, error="expired", error_text="y" * 900)

    assert written(engine, claim.job.id, end) == {
        "state": "failed",
        "attempt": 8,
        "finished_at": "now",
        "lease_until": None,
        "holder": None,
        "retry_at": None,
        "parameters": None,
        "error": "expired",
        "error_text": "y" * 500,
    }
    assert (attempt(engine, claim)["outcome"], attempt(engine, claim)["ended_at"]) == ("expired", "now")


def test_a_cancellation_has_no_error(engine, claim):
    written(engine, claim.job.id, lambda: jobs.end(engine, claim.job.id, to=State.CANCELLED))
    job = jobs.get(engine, claim.job.id)
    assert (job.error, job.error_text) == (None, None)
    assert attempt(engine, claim)["outcome"] == "cancelled"


def test_a_silent_worker(engine, claim, change):
    change(claim.job.id, lease_until=clock.after(-1))
    assert written(engine, claim.job.id, lambda: jobs.requeue_lapsed(engine)) == {
        "state": "queued",
        "attempt": 8,
        "lease_until": None,
        "holder": None,
        "retry_at": None,
        "sent_at": None,
        "queued_at": "now",
        "started_at": None,
    }
    assert (attempt(engine, claim)["outcome"], attempt(engine, claim)["ended_at"]) == ("lost", "now")


def test_a_key_that_makes_way(engine, create):
    job, _ = create(lease=-1, idempotency_key="k", fingerprint="f")
    assert written(engine, job.id, lambda: create(idempotency_key="k")) == {
        "state": "failed",
        "attempt": 1,
        "finished_at": "now",
        "lease_until": None,
        "parameters": None,
        "idempotency_key": None,
        "fingerprint": None,
        "error": "upload_abandoned",
        "error_text": "the upload was not completed; submit it again",
    }


# Segments.


@pytest.fixture
def cut(engine, claim, change):
    """The same job in two segments; returns its id."""
    planned = [Plan(piece_id=piece(engine, claim.job.id), size=5 + number, window={"n": number}) for number in (0, 1)]
    found = written(
        engine,
        claim.job.id,
        lambda: segments.plan(engine, claim, planned, video={"container": "MP4"}, units_total=30),
    )
    assert found == {
        "stage": "segments",
        "attempt": 8,
        "tries": 0,
        "lease_until": None,
        "holder": None,
        "started_at": "now",
        "units_done": 0,
        "units_total": 30,
        "video": {"container": "MP4"},
    }
    assert attempt(engine, claim)["outcome"] == "done"
    return claim.job.id


def piece(engine, job_id) -> uuid.UUID:
    return rows.reserve(engine, job_id, attempt=7, lease=LEASE).id


def this(job_id, number=0):
    return SEGMENTS.c.job_id == job_id, SEGMENTS.c.number == number


def set_segment(engine, job_id, **values):
    with engine.begin() as connection:
        connection.execute(sa.update(SEGMENTS).where(*this(job_id)).values(**values))


@pytest.fixture
def taken(engine, cut):
    """Its first segment's claim, at the second attempt."""
    set_segment(engine, cut, **BEFORE, attempt=4, tries=1, units_done=2)
    return segments.take(engine, cut, 0, holder="host:1:1.0:1", lease=LEASE)


def written_of_segment(engine, job_id, operation):
    before = read(engine, SEGMENTS, *this(job_id))
    operation()
    return changes(before, read(engine, SEGMENTS, *this(job_id)))


def test_new_segments(engine, cut):
    for number in (0, 1):
        found = read(engine, SEGMENTS, *this(cut, number))
        stored = read(engine, ASSETS, ASSETS.c.id == found.pop("piece_id"))
        assert (stored["state"], stored["size"]) == ("stored", 5 + number)
        zero = dict.fromkeys(("attempt", "tries", "returns", "dead_letters", "units_done"), 0)
        own = {"job_id": cut, "number": number, "state": "queued", "queued_at": "now", "window": {"n": number}}
        assert {name: value for name, value in found.items() if value is not None} == own | zero


def test_a_segments_claim(engine, cut):
    set_segment(engine, cut, **BEFORE, attempt=4, tries=1, units_done=2)

    def take():
        claim = segments.take(engine, cut, 0, holder="host:1:1.0:1", lease=LEASE)
        assert (claim.fence, claim.tries, claim.lease, claim.name) == (5, 2, LEASE, f"{cut}-0-5")
        assert claim.input.id == claim.segment.piece_id
        assert claim.job == jobs.get(engine, cut)

    assert written_of_segment(engine, cut, take) == {
        "state": "running",
        "attempt": 5,
        "tries": 2,
        "units_done": 0,
        "lease_until": LEASE,
        "holder": "host:1:1.0:1",
    }


def test_a_segments_heartbeat(engine, taken, cut):
    set_segment(engine, cut, lease_until=clock.after(60), units_done=3)
    assert written_of_segment(engine, cut, lambda: segments.extend(engine, taken)) == {"lease_until": LEASE}
    assert written_of_segment(engine, cut, lambda: segments.extend(engine, taken, done=0)) == {"units_done": 0}


def test_a_segments_message(engine, cut):
    sent = [segment for _, segment in segments.unsent(engine, limit=1)]
    assert written_of_segment(engine, cut, lambda: segments.mark_sent(engine, sent)) == {"sent_at": "now"}


def test_a_segments_end(engine, taken, cut):
    part = piece(engine, cut)

    def finish():
        assert segments.finish(engine, taken, part_id=part, size=8, units=15).joinable is None

    assert written_of_segment(engine, cut, finish) == {
        "state": "done",
        "lease_until": None,
        "holder": None,
        "part_id": part,
        "units_done": 15,
    }
    stored = read(engine, ASSETS, ASSETS.c.id == part)
    assert (stored["state"], stored["size"]) == ("stored", 8)
    last = segments.take(engine, cut, 1, holder="host:1:1.0:1", lease=LEASE)
    other = piece(engine, cut)
    assert written(engine, cut, lambda: segments.finish(engine, last, part_id=other, size=8, units=14)) == {
        "state": "queued",
        "stage": "join",
        "attempt": 9,
        "returns": 0,
        "sent_at": None,
        "queued_at": "now",
        "units_done": 29,
    }


@pytest.mark.parametrize("counted", [True, False])
def test_a_segments_wait(engine, taken, cut, counted):
    def wait():
        assert segments.wait(engine, taken, delay=DELAY, outcome="x", counted=counted)

    back = {} if counted else {"tries": 1, "returns": 4}
    assert written_of_segment(engine, cut, wait) == back | {
        "state": "waiting",
        "retry_at": DELAY,
        "lease_until": None,
        "holder": None,
        "outcome": "x",
    }


def test_a_segments_hand_back(engine, taken, cut):
    assert written_of_segment(engine, cut, lambda: segments.hand_back(engine, taken, outcome="x")) == {
        "state": "queued",
        "tries": 1,
        "returns": 4,
        "sent_at": None,
        "queued_at": "now",
        "lease_until": None,
        "holder": None,
        "outcome": "x",
    }


def test_a_segments_failure(engine, taken, cut):
    other = segments.take(engine, cut, 1, holder="host:2:1.0:1", lease=LEASE)
    before = read(engine, SEGMENTS, *this(cut))

    def fail():
        assert segments.fail(engine, taken, error="damaged_media", error_text="x" * 900)

    assert written(engine, cut, fail) == {
        "state": "failed",
        "attempt": 9,
        "finished_at": "now",
        "parameters": None,
        "error": "damaged_media",
        "error_text": "x" * 500,
    }
    ended = {"lease_until": None, "holder": None}
    failed = {"state": "failed", "outcome": "damaged_media"}
    assert changes(before, read(engine, SEGMENTS, *this(cut))) == ended | failed
    found = read(engine, SEGMENTS, *this(cut, 1))
    assert (found["state"], found["attempt"], found["holder"], found["lease_until"]) == ("cancelled", 2, None, None)
    assert not segments.holds(engine, other)


def test_a_silent_segment(engine, taken, cut):
    set_segment(engine, cut, lease_until=clock.after(-1))
    assert written_of_segment(engine, cut, lambda: segments.requeue_lapsed(engine)) == {
        "state": "queued",
        "attempt": 6,
        "lease_until": None,
        "holder": None,
        "retry_at": None,
        "sent_at": None,
        "queued_at": "now",
    }
