"""What the queries find, in which order, and what they leave out."""

import uuid

import sqlalchemy as sa

from mayfly.db import assets, claims, jobs, segments
from mayfly.db.segments import Plan
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import ASSETS
from tests import clock, rows
from tests.rows import reserve


def cut(engine, queued, count=2):
    job_id = queued(media="video", stage=Stage.EFFECT)
    claim = claims.take(engine, job_id, stage=Stage.EFFECT, holder="planner", lease=60)
    planned = [Plan(piece_id=reserve(engine, job_id).id, size=5, window={"n": number}) for number in range(count)]
    assert segments.plan(engine, claim, planned, video={}, units_total=30)
    return job_id


def lease_of(engine, asset_id):
    with engine.connect() as connection:
        return connection.execute(sa.select(ASSETS.c.lease_until).where(ASSETS.c.id == asset_id)).scalar()


def test_finished_jobs_come_by_their_ends(engine, queued, create, change):
    later, earlier, running, other = (queued() for _ in range(4))
    for one, to in ((later, State.FAILED), (earlier, State.CANCELLED), (other, State.CANCELLED)):
        jobs.end(engine, one, to=to)
    change(earlier, finished_at=clock.after(-60))
    assert [job.id for job in jobs.finished(engine, [later, running, earlier])] == [earlier, later]
    assert jobs.finished(engine, [running]) == jobs.finished(engine, []) == []


def test_jobs_that_somebody_has_to_work_at(engine, queued, create):
    create()
    jobs.end(engine, queued(), to=State.CANCELLED)
    assert jobs.unfinished(engine) == 0
    queued()
    claims.take(engine, queued(), stage=Stage.INGEST, holder="h", lease=60)
    waiting = claims.take(engine, queued(), stage=Stage.INGEST, holder="h2", lease=60)
    claims.wait(engine, waiting, delay=60, outcome="x")
    assert jobs.unfinished(engine) == 3


def test_progress_is_that_of_the_segments_alone_while_there_are_some(engine, queued, change):
    job_id, other = cut(engine, queued), cut(engine, queued)
    change(job_id, units_done=99)
    for one, number, done in ((job_id, 0, 4), (job_id, 1, 5), (other, 0, 70)):
        claim = segments.take(engine, one, number, holder="h", lease=60)
        assert segments.extend(engine, claim, done=done)
    assert jobs.get(engine, job_id).units_done == 9
    jobs.end(engine, job_id, to=State.CANCELLED)
    plain = claims.take(engine, queued(), stage=Stage.INGEST, holder="h", lease=60)
    assert claims.extend(engine, plain, done=3)
    assert jobs.get(engine, plain.job.id).units_done == 3


def test_a_repeated_creation_finds_its_input_while_it_is_pending(engine):
    job_id = uuid.uuid4()
    job, asset = rows.create(engine, job_id=job_id, idempotency_key="k")
    assert rows.create(engine, job_id=job_id, idempotency_key="k") == (job, asset)
    reserve(engine, job_id)
    assert rows.create(engine, job_id=job_id, idempotency_key="k") == (job, asset)
    assert jobs.mark_uploaded(engine, job_id, asset.id, size=3)
    assert rows.create(engine, job_id=job_id, idempotency_key="k")[1] is None


def test_a_repeated_creation_does_not_make_way_for_itself(engine):
    job_id = uuid.uuid4()
    rows.create(engine, job_id=job_id, idempotency_key="k", lease=-1)
    again, asset = rows.create(engine, job_id=job_id, idempotency_key="k", lease=-1)
    assert (again.id, again.state) == (job_id, State.UPLOADING)
    assert asset is not None


def test_an_upload_that_lives_keeps_its_key_and_so_does_a_job_that_waits(engine, create, queued):
    for first in (create(idempotency_key="k")[0].id, queued(idempotency_key="l")):
        key = "k" if jobs.get(engine, first).state is State.UPLOADING else "l"
        assert create(idempotency_key=key)[0].id == first


def test_a_lapsed_upload_of_another_key_or_owner_keeps_its_own(engine, create):
    others = [create(idempotency_key="l", lease=-1), create(idempotency_key="k", owner="else", lease=-1)]
    create(idempotency_key="k")
    assert {jobs.get(engine, job.id).state for job, _ in others} == {State.UPLOADING}


def test_confirmations_of_nothing_ask_nobody(engine, queued):
    job_id = queued()
    jobs.mark_sent(engine, [])
    segments.mark_sent(engine, [])
    assert [job.id for job in jobs.unsent(engine, limit=9)] == [job_id]


def test_a_confirmation_of_an_earlier_stage_is_no_confirmation(engine, queued, change):
    job_id = queued()
    sent = jobs.get(engine, job_id)
    change(job_id, stage=Stage.EFFECT.value)
    jobs.mark_sent(engine, [sent])
    assert [job.id for job in jobs.unsent(engine, limit=9)] == [job_id]


def test_what_runs_is_not_marked_as_sent(engine, queued, row):
    job_id = queued()
    claim = claims.take(engine, job_id, stage=Stage.INGEST, holder="h", lease=60)
    jobs.mark_sent(engine, [claim.job])
    assert row(job_id)["sent_at"] is None


def test_ending_one_job_leaves_the_attempts_of_others_open(engine, queued):
    mine, other = queued(), queued()
    claim = claims.take(engine, other, stage=Stage.INGEST, holder="h", lease=60)
    claims.take(engine, mine, stage=Stage.INGEST, holder="h2", lease=60)
    jobs.end(engine, mine, to=State.CANCELLED)
    assert claims.holds(engine, claim)


def test_ending_one_job_leaves_its_finished_segments_and_those_of_others(engine, queued):
    mine, other = cut(engine, queued), cut(engine, queued)
    claim = segments.take(engine, mine, 0, holder="h", lease=60)
    assert segments.finish(engine, claim, part_id=reserve(engine, mine).id, size=1, units=5)
    jobs.end(engine, mine, to=State.CANCELLED)
    with engine.connect() as connection:
        states = [[one.state for one in segments.of_job(connection, job_id)] for job_id in (mine, other)]
    assert states == [[State.DONE, State.CANCELLED], [State.QUEUED, State.QUEUED]]


def test_a_new_embedded_worker_adopts_what_is_written_but_no_upload(engine, queued, create):
    job_id = queued()
    written, kept = reserve(engine, job_id, Retention.RESULT), create()[1]
    stored = reserve(engine, job_id, Retention.RESULT)
    with engine.begin() as connection:
        assets.mark_stored(connection, stored.id, size=1)
    before = lease_of(engine, stored.id)
    jobs.adopt(engine)
    assert lease_of(engine, written.id) is None
    assert lease_of(engine, kept.id) is not None
    assert lease_of(engine, stored.id) == before


def test_what_was_given_up_before_it_was_stored_is_due_and_the_rest_is_not(engine, queued):
    job_id = queued()
    lost, stored, other = (reserve(engine, job_id, Retention.RESULT) for _ in range(3))
    with engine.begin() as connection:
        assets.mark_stored(connection, stored.id, size=1)
    assert [asset.id for asset in assets.abandon(engine, [lost.id, stored.id])] == [lost.id]
    assert [asset.id for asset in assets.due(engine, limit=9)] == [lost.id]
    assert lease_of(engine, lost.id) is None
    assert lease_of(engine, other.id) is not None


def test_a_size_is_written_once(engine, queued):
    asset = reserve(engine, queued(), Retention.RESULT)
    with engine.begin() as connection:
        assets.mark_stored(connection, asset.id, size=1)
        assets.mark_stored(connection, asset.id, size=2)
        found = assets.read(connection, asset.id)
        assert (found.state, found.size) == (AssetState.STORED, 1)
        assert assets.find(connection, asset.id) == found
        assert assets.find(connection, uuid.uuid4()) is None


def test_segments_whose_job_has_ended_or_joins_are_not_sent(engine, queued, change):
    first, second = cut(engine, queued), cut(engine, queued)
    change(first, stage=Stage.JOIN.value)
    assert {job.id for job, _ in segments.unsent(engine, limit=9)} == {second}
    assert segments.take(engine, first, 0, holder="h", lease=60) is None
    change(first, stage=Stage.SEGMENTS.value, state=State.QUEUED.value)
    assert {job.id for job, _ in segments.unsent(engine, limit=9)} == {second}
    assert segments.take(engine, first, 0, holder="h", lease=60) is None


def test_the_segments_of_the_oldest_job_are_sent_first_and_so_many(engine, queued, change):
    young, old = cut(engine, queued), cut(engine, queued)
    change(old, created_at=clock.after(-600))
    found = [(job.id, segment.number) for job, segment in segments.unsent(engine, limit=3)]
    assert found == [(old, 0), (old, 1), (young, 0)]


def test_nobody_holds_a_segment_that_is_free_or_does_not_exist(engine, queued):
    job_id = cut(engine, queued)
    assert segments.holder(engine, job_id, 0) is None
    assert segments.holder(engine, job_id, 7) is None
    assert segments.holder(engine, uuid.uuid4(), 0) is None
    segments.take(engine, job_id, 1, holder="h", lease=60)
    assert (segments.holder(engine, job_id, 0), segments.holder(engine, job_id, 1)) == (None, "h")


def test_parts_are_of_what_is_done(engine, queued):
    job_id, other = cut(engine, queued), cut(engine, queued)
    made = {}
    for one, number in ((job_id, 1), (other, 0)):
        claim = segments.take(engine, one, number, holder="h", lease=60)
        made[one] = reserve(engine, one).id
        assert segments.finish(engine, claim, part_id=made[one], size=4, units=5)
    found = segments.parts(engine, job_id)
    assert [(segment.number, part.id, part.size) for segment, part in found] == [(1, made[job_id], 4)]
