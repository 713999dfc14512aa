"""Segments: claimed one at a time, ended in any order, joined once, and gone with their job."""

import contextlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs, segments
from mayfly.db.segments import Plan
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import SEGMENTS
from tests import clock, rows
from tests.rows import reserve


def window(number):
    return {"apply_from": number, "shown_from": number, "shown_to": None}


@pytest.fixture
def cut(engine, queued):
    """Make a job that is cut into segments; returns its id."""

    def make(count=3) -> uuid.UUID:
        job_id = queued(media="video", stage=Stage.EFFECT)
        claim = claims.take(engine, job_id, stage=Stage.EFFECT, holder="planner", lease=60)
        planned = [Plan(piece_id=reserve(engine, job_id).id, size=5, window=window(n)) for n in range(count)]
        assert segments.plan(engine, claim, planned, video={"container": "MP4"}, units_total=30)
        return job_id

    return make


@pytest.fixture
def set_segment(engine):
    """Set columns of a segment behind everybody's back."""

    def write(job_id, number, **values):
        this = (SEGMENTS.c.job_id == job_id, SEGMENTS.c.number == number)
        with engine.begin() as connection:
            connection.execute(sa.update(SEGMENTS).where(*this).values(**values))

    return write


def take(engine, job_id, number, **options):
    return segments.take(engine, job_id, number, **{"holder": "worker-1", "lease": 60} | options)


def finish(engine, claim, units=10):
    part = reserve(engine, claim.job.id)
    return segments.finish(engine, claim, part_id=part.id, size=3, units=units)


def states(engine, job_id):
    with engine.connect() as connection:
        return [segment.state for segment in segments.of_job(connection, job_id)]


def test_a_plan_hands_the_job_over(engine, cut):
    job_id = cut()
    job = jobs.get(engine, job_id)
    assert (job.state, job.stage, job.holder, job.lease_until) == (State.RUNNING, Stage.SEGMENTS, None, None)
    assert (job.units_done, job.units_total, job.video) == (0, 30, {"container": "MP4"})
    assert job.started_at is not None
    assert states(engine, job_id) == [State.QUEUED] * 3
    kinds = [(asset.retention, asset.state) for asset in assets.of_job(engine, job_id)]
    assert kinds == [(Retention.INPUT, AssetState.STORED)] + [(Retention.INTERMEDIATE, AssetState.STORED)] * 3
    # Nobody else takes the job for one whose worker fell silent.
    assert jobs.requeue_lapsed(engine) == []
    assert claims.take(engine, job_id, stage=Stage.EFFECT, holder="x", lease=1) is None


def test_a_plan_of_a_lost_claim_changes_nothing(engine, queued):
    job_id = queued(media="video", stage=Stage.EFFECT)
    claim = claims.take(engine, job_id, stage=Stage.EFFECT, holder="planner", lease=60)
    assert jobs.end(engine, job_id, to=State.CANCELLED)
    planned = [Plan(piece_id=reserve(engine, job_id).id, size=5, window=window(0))]
    assert segments.plan(engine, claim, planned, video={}, units_total=1) is None
    assert states(engine, job_id) == []


def test_a_planner_that_has_handed_over_holds_its_job_no_more(engine, queued):
    job_id = queued(media="video", stage=Stage.EFFECT)
    claim = claims.take(engine, job_id, stage=Stage.EFFECT, holder="planner", lease=60)
    planned = [Plan(piece_id=reserve(engine, job_id).id, size=5, window=window(0))]
    assert segments.plan(engine, claim, planned, video={}, units_total=1)
    # Its heartbeat would give the job a lease that nobody renews.
    assert not claims.holds(engine, claim)
    assert not claims.extend(engine, claim)
    assert jobs.get(engine, job_id).lease_until is None


def test_a_second_plan_makes_the_pieces_of_a_dead_planner_due(engine, queued, change):
    job_id = queued(media="video", stage=Stage.EFFECT)
    claims.take(engine, job_id, stage=Stage.EFFECT, holder="planner", lease=60)
    left = reserve(engine, job_id)
    rows.set_asset(engine, left.id, lease_until=clock.after(-1))
    change(job_id, lease_until=clock.after(-1))
    claim = claims.take(engine, job_id, stage=Stage.EFFECT, holder="planner", lease=60)
    planned = [Plan(piece_id=reserve(engine, job_id).id, size=5, window=window(0))]
    segments.plan(engine, claim, planned, video={}, units_total=1)
    assert [asset.id for asset in assets.due(engine, limit=9)] == [left.id]


def test_segments_end_in_any_order_and_the_last_queues_the_join(engine, cut):
    job_id = cut()
    taken = [take(engine, job_id, number) for number in (2, 0, 1)]
    assert all(taken)
    for claim in taken[:2]:
        ended = finish(engine, claim)
        assert ended.joinable is None
        assert [asset.id for asset in ended.due] == [claim.input.id]
    assert jobs.get(engine, job_id).units_done == 20
    job = finish(engine, taken[2]).joinable
    assert (job.state, job.stage, job.units_done, job.tries) == (State.QUEUED, Stage.JOIN, 30, 0)
    assert [found.id for found in jobs.unsent(engine, limit=9)] == [job_id]
    parts = segments.parts(engine, job_id)
    assert [segment.number for segment, _ in parts] == [0, 1, 2]
    assert all(part.state is AssetState.STORED for _, part in parts)
    # The join is claimed as any stage, and its end leaves the result alone.
    claim = claims.take(engine, job_id, stage=Stage.JOIN, holder="joiner", lease=60)
    result = reserve(engine, job_id)
    due = claims.finish(engine, claim, result_id=result.id, size=1)
    assert len(due) == 1 + 3  # the input, the parts; the pieces were due before
    assert jobs.get(engine, job_id).state is State.DONE


def test_two_that_end_at_once_queue_one_join(engine, cut):
    job_id = cut(count=2)
    taken = [take(engine, job_id, number) for number in range(2)]
    parts = [reserve(engine, job_id) for _ in taken]
    both = threading.Barrier(2)
    seen = []

    def wait_for_the_other(_connection, _cursor, statement, *_):
        # Whoever counts what is open holds its transaction until the other has counted too, or cannot.
        if statement.lower().startswith("select count("):
            seen.append(statement)
            with contextlib.suppress(threading.BrokenBarrierError):
                both.wait(0.7)

    def end(claim, part):
        return segments.finish(engine, claim, part_id=part.id, size=3, units=1).joinable

    sa.event.listen(engine, "after_cursor_execute", wait_for_the_other)
    try:
        with ThreadPoolExecutor(2) as pool:
            joined = list(pool.map(end, taken, parts, timeout=60))
    finally:
        sa.event.remove(engine, "after_cursor_execute", wait_for_the_other)
    assert len(seen) == 2
    assert sum(job is not None for job in joined) == 1
    assert jobs.get(engine, job_id).stage is Stage.JOIN


def test_one_claim_at_a_time(engine, cut):
    job_id = cut()
    assert take(engine, job_id, 0).tries == 1
    assert take(engine, job_id, 0, holder="worker-2") is None
    second = take(engine, job_id, 0, holder="worker-2", dead_holder="worker-1")
    assert (second.tries, second.fence) == (2, 2)
    assert take(engine, job_id, 7) is None


def test_who_lost_a_segment_changes_nothing(engine, cut, set_segment):
    job_id = cut()
    old = take(engine, job_id, 0)
    set_segment(job_id, 0, lease_until=clock.after(-1))
    new = take(engine, job_id, 0, holder="worker-2")
    assert not segments.extend(engine, old, done=4)
    assert finish(engine, old) is None
    assert not segments.wait(engine, old, delay=0, outcome="x")
    assert not segments.fail(engine, old, error="x", error_text="x")
    assert segments.holder(engine, job_id, 0) == "worker-2"
    assert segments.extend(engine, new, done=4)
    assert jobs.get(engine, job_id).units_done == 4


def test_a_failed_segment_fails_the_job_and_frees_everything(engine, cut):
    job_id = cut()
    finish(engine, take(engine, job_id, 0))
    running, failing = take(engine, job_id, 1), take(engine, job_id, 2)
    assert segments.fail(engine, failing, error="damaged_media", error_text="the file is damaged")
    job = jobs.get(engine, job_id)
    assert (job.state, job.error, job.error_text) == (State.FAILED, "damaged_media", "the file is damaged")
    assert job.parameters is None
    assert states(engine, job_id) == [State.DONE, State.CANCELLED, State.FAILED]
    assert len(assets.due(engine, limit=99)) == len(assets.of_job(engine, job_id)) == 5
    assert not segments.extend(engine, running)
    assert finish(engine, running) is None


@pytest.mark.parametrize("to", [State.CANCELLED, State.FAILED])
def test_a_job_that_ends_takes_its_segments_with_it(engine, cut, to):
    job_id = cut()
    running = take(engine, job_id, 0)
    assert jobs.end(engine, job_id, to=to, error="x", error_text="x")
    assert states(engine, job_id) == [to] * 3
    assert not segments.extend(engine, running)
    assert finish(engine, running) is None
    assert take(engine, job_id, 1) is None
    assert segments.unsent(engine, limit=9) == []


def test_a_segment_waits_and_is_queued_again(engine, cut):
    job_id = cut()
    assert segments.wait(engine, take(engine, job_id, 0), delay=60, outcome="storage_unreachable")
    assert segments.requeue_lapsed(engine) == 0
    assert segments.wait(engine, take(engine, job_id, 1), delay=-1, outcome="storage_unreachable")
    assert segments.requeue_lapsed(engine) == 1
    assert states(engine, job_id) == [State.WAITING, State.QUEUED, State.QUEUED]


def test_a_silent_workers_segment_is_queued_again_with_its_count(engine, cut, set_segment):
    job_id = cut()
    take(engine, job_id, 0)
    set_segment(job_id, 0, lease_until=clock.after(-1))
    assert segments.requeue_lapsed(engine) == 1
    assert take(engine, job_id, 0).tries == 2


def test_the_outbox_finds_what_was_not_sent_and_what_was_lost(engine, cut, set_segment):
    job_id = cut()
    waiting = segments.unsent(engine, limit=2)
    assert [(job.id, segment.number) for job, segment in waiting] == [(job_id, 0), (job_id, 1)]
    segments.mark_sent(engine, [segment for _, segment in waiting])
    assert [segment.number for _, segment in segments.unsent(engine, limit=9)] == [2]
    assert segments.sent_long_ago(engine, seconds=60, limit=9) == []
    set_segment(job_id, 1, sent_at=clock.after(-90))
    assert [segment.number for _, segment in segments.sent_long_ago(engine, seconds=60, limit=9)] == [1]


def test_a_machine_of_one_worker_gets_one_segment_of_a_job_at_a_time(engine, cut):
    first, second = cut(), cut()

    def sendable():
        return [(job.id, segment.number) for job, segment in segments.unsent(engine, limit=9, one_a_job=True)]

    assert sendable() == [(first, 0), (second, 0)]
    segments.mark_sent(engine, [segment for _, segment in segments.unsent(engine, limit=1, one_a_job=True)])
    assert sendable() == [(second, 0)]
    claim = take(engine, first, 0)
    assert sendable() == [(second, 0)]
    finish(engine, claim)
    assert sendable() == [(first, 1), (second, 0)]


def test_a_new_embedded_worker_takes_over(engine, cut):
    job_id = cut()
    take(engine, job_id, 0)
    segments.mark_sent(engine, [segment for _, segment in segments.unsent(engine, limit=1)])
    jobs.adopt(engine)
    segments.adopt(engine)
    assert jobs.get(engine, job_id).stage is Stage.SEGMENTS
    assert [segment.number for _, segment in segments.unsent(engine, limit=9)] == [0, 1, 2]


def test_a_piece_that_is_gone_is_no_input(engine, cut):
    job_id = cut()
    piece = next(asset for asset in assets.of_job(engine, job_id) if asset.retention is Retention.INTERMEDIATE)
    assets.record_destruction(engine, piece, verified="x")
    assert take(engine, job_id, 0).input is None


def test_handing_back_is_as_if_the_attempt_had_not_been(engine, cut):
    job_id = cut()
    segments.mark_sent(engine, [segment for _, segment in segments.unsent(engine, limit=9)])
    claim = take(engine, job_id, 0)
    assert segments.holds(engine, claim)
    back = segments.hand_back(engine, claim, outcome="stopped")
    assert (back.state, back.tries, back.returns, back.holder) == (State.QUEUED, 0, 1, None)
    assert [segment.number for _, segment in segments.unsent(engine, limit=9)] == [0]
    assert not segments.holds(engine, claim)
    assert segments.hand_back(engine, claim, outcome="stopped") is None


def test_waiting_for_our_own_fault_counts_no_try(engine, cut):
    job_id = cut()
    assert segments.wait(engine, take(engine, job_id, 0), delay=-1, outcome="storage_unreachable", counted=False)
    with engine.connect() as connection:
        first = segments.of_job(connection, job_id)[0]
    assert (first.state, first.tries, first.returns) == (State.WAITING, 0, 1)


def test_a_confirmation_is_of_the_message_that_was_sent_and_of_no_later_one(engine, cut, set_segment):
    job_id = cut()
    sent = [segment for _, segment in segments.unsent(engine, limit=1)]
    take(engine, job_id, 0)
    set_segment(job_id, 0, lease_until=clock.after(-1))
    assert segments.requeue_lapsed(engine) == 1
    segments.mark_sent(engine, sent)
    assert [segment.number for _, segment in segments.unsent(engine, limit=9)] == [0, 1, 2]


def test_a_holder_takes_what_it_holds_already_and_counts_it_once(engine, cut):
    job_id = cut()
    take(engine, job_id, 0)
    again = take(engine, job_id, 0)
    assert (again.fence, again.tries) == (2, 1)


def test_an_end_that_is_repeated_says_the_same(engine, cut):
    job_id = cut(count=2)
    first, last = take(engine, job_id, 0), take(engine, job_id, 1)
    assert finish(engine, first)
    part = reserve(engine, job_id)
    assert segments.finish(engine, last, part_id=part.id, size=3, units=10).joinable
    assert segments.finish(engine, last, part_id=part.id, size=3, units=10) is not None
    assert segments.finish(engine, last, part_id=reserve(engine, job_id).id, size=3, units=10) is None
    assert jobs.get(engine, job_id).stage is Stage.JOIN
