"""Jobs as producers and the outbox see them."""

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs
from mayfly.db.errors import KeyTaken, UnknownJob
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import ASSETS, ATTEMPTS, JOBS
from tests import clock, rows


def count(engine, table):
    with engine.connect() as connection:
        return connection.execute(sa.select(sa.func.count()).select_from(table)).scalar()


def take(engine, job_id, **changes):
    return claims.take(engine, job_id, **{"stage": Stage.INGEST, "holder": "host:1:1.0:1", "lease": 60} | changes)


def mark_sent(engine, *job_ids):
    jobs.mark_sent(engine, [jobs.get(engine, job_id) for job_id in job_ids])


def test_a_new_job_has_its_inputs_row_before_any_byte(engine, create):
    job, asset = create()
    assert (job.state, job.stage, job.attempt, job.tries) == (State.UPLOADING, Stage.INGEST, 0, 0)
    assert jobs.get(engine, job.id) == job
    assert assets.of_job(engine, job.id) == [asset]
    assert (asset.state, asset.size, asset.suffix) == (AssetState.PENDING, None, ".jpg")
    assert asset.key == f"input/{job.id}/0/{asset.id}"
    assert asset.created_at < asset.due_at < asset.deadline_at


def test_moments_come_back_in_utc(engine, create):
    job, _ = create()
    assert job.created_at.utcoffset().total_seconds() == 0
    assert abs((clock.now() - job.created_at).total_seconds()) < 60


def test_a_moment_without_its_time_zone_is_refused(create):
    with pytest.raises(sa.exc.StatementError, match="time zone"):
        create(due_at=clock.now().replace(tzinfo=None))


def test_the_same_idempotency_key_finds_the_first_job(engine, create):
    first, _ = create(idempotency_key="k")
    again, asset = create(idempotency_key="k")
    assert (again, asset) == (first, None)
    other, asset = create(idempotency_key="k2")
    assert other.id != first.id and asset is not None
    assert (count(engine, JOBS), count(engine, ASSETS)) == (2, 2)


def test_jobs_without_a_key_are_all_new(create):
    assert create()[0].id != create()[0].id


def test_the_same_key_at_once_makes_one_job(engine, create):
    barrier = threading.Barrier(10, timeout=30)

    def submit(_):
        barrier.wait()
        return create(idempotency_key="k")

    with ThreadPoolExecutor(10) as pool:
        found = list(pool.map(submit, range(10), timeout=60))
    assert len({job.id for job, _ in found}) == 1
    assert len([asset for _, asset in found if asset is not None]) == 1
    assert (count(engine, JOBS), count(engine, ASSETS)) == (1, 1)


def test_an_upload_that_is_complete_is_queued_once(engine, create):
    job, asset = create()
    assert jobs.mark_uploaded(engine, job.id, asset.id, size=9) == jobs.get(engine, job.id)
    # As after an answer that was lost.
    assert jobs.mark_uploaded(engine, job.id, asset.id, size=10) == jobs.get(engine, job.id)
    found = jobs.get(engine, job.id)
    assert (found.state, found.lease_until) == (State.QUEUED, None)
    (stored,) = assets.of_job(engine, job.id)
    assert (stored.state, stored.size) == (AssetState.STORED, 9)


def test_an_upload_that_was_given_up_is_not_queued(engine, create):
    job, asset = create()
    assert jobs.end(engine, job.id, to=State.CANCELLED)
    assert not jobs.mark_uploaded(engine, job.id, asset.id, size=9)
    assert not jobs.extend_upload(engine, job.id, asset.id, lease=60)
    assert jobs.get(engine, job.id).state is State.CANCELLED
    assert assets.of_job(engine, job.id)[0].state is AssetState.PENDING


def test_an_upload_is_abandoned_when_its_producer_is_silent(engine, create, queued):
    alive, _ = create(lease=60)
    dead, asset = create(lease=-1)
    queued(lease=-1)
    assert jobs.abandoned_uploads(engine) == [dead.id]
    assert jobs.extend_upload(engine, dead.id, asset.id, lease=60)
    assert jobs.abandoned_uploads(engine) == []
    assert jobs.get(engine, alive.id).state is State.UPLOADING


def test_ending_moves_the_fence_and_makes_the_assets_due(engine, queued):
    job_id = queued()
    take(engine, job_id)
    assert jobs.end(engine, job_id, to=State.FAILED, error="expired", error_text="too late")
    job = jobs.get(engine, job_id)
    assert (job.state, job.error, job.error_text, job.attempt) == (State.FAILED, "expired", "too late", 2)
    assert (job.holder, job.lease_until, job.parameters) == (None, None, None)
    assert len(assets.due(engine, limit=9)) == 1
    with engine.connect() as connection:
        assert connection.execute(sa.select(ATTEMPTS.c.outcome)).scalars().all() == ["expired"]
    assert not jobs.end(engine, job_id, to=State.CANCELLED)


def test_ending_only_from_some_states(engine, queued):
    job_id = queued()
    assert not jobs.end(engine, job_id, to=State.FAILED, error="x", only_from=[State.UPLOADING])
    assert jobs.get(engine, job_id).state is State.QUEUED
    assert assets.due(engine, limit=9) == []


def test_what_the_outbox_asks(engine, queued, change, create):
    fresh, sent, old, running = (queued() for _ in range(4))
    create()
    mark_sent(engine, sent, old, running)
    change(old, sent_at=clock.after(-61))
    change(running, sent_at=clock.after(-61))
    take(engine, running)
    assert [job.id for job in jobs.unsent(engine, limit=9)] == [fresh]
    assert [job.id for job in jobs.sent_long_ago(engine, seconds=60, limit=9)] == [old]
    mark_sent(engine, fresh, old)
    assert jobs.unsent(engine, limit=9) == jobs.sent_long_ago(engine, seconds=60, limit=9) == []


def test_a_confirmation_is_of_the_message_that_was_sent_and_of_no_later_one(engine, queued, change):
    job_id = queued()
    sent = jobs.get(engine, job_id)
    take(engine, job_id)
    change(job_id, lease_until=clock.after(-1))
    assert jobs.requeue_lapsed(engine) == [job_id]
    # The broker's answer to the first message comes late, when the job needs a second one.
    jobs.mark_sent(engine, [sent])
    assert [job.id for job in jobs.unsent(engine, limit=9)] == [job_id]
    jobs.mark_sent(engine, [jobs.get(engine, job_id)])
    assert jobs.unsent(engine, limit=9) == []


def test_each_further_message_comes_after_twice_the_time(engine, queued, change):
    job_id = queued()
    found = []
    for waited, silent in ((10, 61), (100, 61), (100, 101), (None, 61)):
        queued_at = None if waited is None else clock.after(-silent - waited)
        change(job_id, queued_at=queued_at, sent_at=clock.after(-silent))
        found.append(len(jobs.sent_long_ago(engine, seconds=60, limit=9)))
    assert found == [1, 0, 1, 1]


def test_a_key_is_its_owners_own(create):
    first, _ = create(idempotency_key="k", owner="anna")
    other, asset = create(idempotency_key="k", owner="berta")
    assert other.id != first.id and asset is not None
    nobodys, asset = create(idempotency_key="k", owner=None)
    assert nobodys.id not in (first.id, other.id) and asset is not None
    again, asset = create(idempotency_key="k", owner=None)
    assert (again.id, asset) == (nobodys.id, None)


def test_a_key_that_comes_with_another_request_is_refused(engine, create):
    create(idempotency_key="k", fingerprint="a")
    with pytest.raises(KeyTaken) as raised:
        create(idempotency_key="k", fingerprint="b")
    assert raised.value.code == "idempotency_conflict"
    assert count(engine, JOBS) == 1


def test_a_lapsed_upload_gives_its_key_to_the_repeat(engine, create):
    dead, _ = create(idempotency_key="k", lease=-1)
    again, asset = create(idempotency_key="k")
    assert again.id != dead.id and asset is not None
    assert jobs.get(engine, dead.id).error == "upload_abandoned"
    assert [due.job_id for due in assets.due(engine, limit=9)] == [dead.id]
    # An upload that lives is the job that is asked for.
    assert create(idempotency_key="k")[0].id == again.id


def test_a_failure_before_any_worker_gives_its_key_to_the_repeat(engine, create, queued):
    failed, _ = create(idempotency_key="k")
    jobs.end(engine, failed.id, to=State.FAILED, error="storage_unreachable")
    assert create(idempotency_key="k")[0].id != failed.id
    worked = queued(idempotency_key="k2")
    assert claims.fail(engine, take(engine, worked), error="damaged_media", error_text="x")
    assert create(idempotency_key="k2")[0].id == worked
    cancelled = queued(idempotency_key="k3")
    jobs.end(engine, cancelled, to=State.CANCELLED)
    assert create(idempotency_key="k3")[0].id == cancelled


def test_a_creation_whose_answer_was_lost_is_repeated(engine):
    job_id = uuid.uuid4()
    first = rows.create(engine, job_id=job_id)
    assert rows.create(engine, job_id=job_id) == first
    assert (count(engine, JOBS), count(engine, ASSETS)) == (1, 1)


def test_the_outbox_sends_the_oldest_first_and_so_many(engine, queued):
    ids = [queued() for _ in range(3)]
    assert [job.id for job in jobs.unsent(engine, limit=2)] == ids[:2]


def test_what_nobody_moves_is_queued_again(engine, queued, change):
    lapsed, lives, ready, early, quiet = (queued() for _ in range(5))
    claimed = {job_id: take(engine, job_id) for job_id in (lapsed, lives, ready, early)}
    mark_sent(engine, quiet)
    change(lapsed, lease_until=clock.after(-1))
    claims.wait(engine, claimed[ready], delay=-1, outcome="x")
    claims.wait(engine, claimed[early], delay=60, outcome="x")
    assert set(jobs.requeue_lapsed(engine)) == {lapsed, ready}
    states = [jobs.get(engine, job_id).state for job_id in (lapsed, lives, ready, early)]
    assert states == [State.QUEUED, State.RUNNING, State.QUEUED, State.WAITING]
    assert {job.id for job in jobs.unsent(engine, limit=9)} == {lapsed, ready}
    assert jobs.get(engine, lapsed).attempt > claimed[lapsed].fence
    assert jobs.get(engine, ready).retry_at is None
    assert jobs.requeue_lapsed(engine) == []


def test_adopting_takes_messages_for_lost_and_leases_for_over(engine, queued, create):
    sent, running, waiting, done = (queued() for _ in range(4))
    uploading, _ = create()
    mark_sent(engine, sent, running, waiting, done)
    take(engine, running, lease=3600)
    claims.wait(engine, take(engine, waiting), delay=60, outcome="x")
    jobs.end(engine, done, to=State.CANCELLED)
    jobs.adopt(engine)
    assert {job.id for job in jobs.unsent(engine, limit=9)} == {sent, running}
    assert jobs.get(engine, waiting).state is State.WAITING
    assert jobs.get(engine, done).state is State.CANCELLED
    assert jobs.get(engine, uploading.id).state is State.UPLOADING


def test_recent_jobs_come_newest_first(engine, create):
    ids = [create()[0].id for _ in range(3)]
    assert [job.id for job in jobs.recent(engine, limit=2)] == ids[:0:-1]


def pages(engine, **wanted):
    """All pages of two jobs each, as ids."""
    found, last = [], None
    while page := jobs.recent(engine, limit=2, after=last, **wanted):
        found.append([job.id for job in page])
        last = page[-1].created_at, page[-1].id
    return found


def test_pages_follow_each_other_whatever_comes_and_goes_between_them(engine, create, change):
    ids = [create()[0].id for _ in range(5)]
    assert pages(engine) == [ids[4:2:-1], ids[2:0:-1], ids[:1]]
    page = jobs.recent(engine, limit=2)
    create()
    with engine.begin() as connection:
        connection.execute(sa.delete(ASSETS).where(ASSETS.c.job_id == ids[3]))
        connection.execute(sa.delete(JOBS).where(JOBS.c.id == ids[3]))
    after = page[-1].created_at, page[-1].id
    assert [job.id for job in jobs.recent(engine, limit=9, after=after)] == ids[2::-1]
    # Of one moment, the id decides.
    moment = page[0].created_at
    for job_id in ids[:3]:
        change(job_id, created_at=moment)
    told = [job_id for page in pages(engine) for job_id in page]
    assert len(told) == len(set(told)) == 5
    assert told[1:] == sorted([*ids[:3], ids[4]], reverse=True)


def test_lists_are_of_an_owner_a_key_and_a_state(engine, create, queued):
    waiting = queued(owner="a", idempotency_key="k")
    others, nobodys = queued(owner="b", idempotency_key="k"), queued(owner=None, idempotency_key="k")
    failed = queued(owner="a")
    jobs.end(engine, failed, to=State.FAILED)

    def found(**wanted):
        return [job.id for job in jobs.recent(engine, limit=9, **wanted)]

    assert found(owner="a") == [failed, waiting]
    assert (found(key="k", owner="a"), found(key="k", owner="b"), found(key="k")) == ([waiting], [others], [nobodys])
    assert (found(state=State.FAILED), found(state=State.QUEUED)) == ([failed], [nobodys, others, waiting])
    assert found(state=State.QUEUED, owner="a") == [waiting]
    assert found(owner="c") == found(state=State.DONE) == found(owner="a", key="l") == []
    assert jobs.recent(engine, limit=1, owner="b")[0].owner == "b"


def test_an_unknown_job_is_an_error_of_its_own(engine):
    with pytest.raises(UnknownJob) as raised:
        jobs.get(engine, uuid.uuid4())
    assert raised.value.code == "unknown_job"


def test_the_retention_of_a_face_is_kept(create):
    _, asset = create(retention=Retention.FACE_INPUT)
    assert asset.retention is Retention.FACE_INPUT
    assert asset.key.startswith("face_input/")
