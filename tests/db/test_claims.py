"""Claims: one winner, a lease, and a fence that shuts out whoever lost."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from mayfly.db import assets, claims, jobs
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import ATTEMPTS
from tests import clock, rows
from tests.rows import HOUR


def take(engine, job_id, *, holder="host:1:1.0:1", stage=Stage.INGEST, lease=60, dead_holder=None):
    return claims.take(engine, job_id, stage=stage, holder=holder, lease=lease, dead_holder=dead_holder)


def attempts(engine, job_id):
    query = sa.select(ATTEMPTS).where(ATTEMPTS.c.job_id == job_id).order_by(ATTEMPTS.c.number)
    with engine.connect() as connection:
        return [(row.number, row.stage, row.outcome) for row in connection.execute(query)]


def at_once(count, function):
    """Call `function(n)` in `count` threads that start together."""
    barrier = threading.Barrier(count, timeout=30)

    def call(number):
        barrier.wait()
        return function(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(call, range(count), timeout=60))


def test_of_twenty_claimers_one_wins(engine, queued):
    job_id = queued()
    found = at_once(20, lambda n: take(engine, job_id, holder=f"host:{n}:1.0:1"))
    (won,) = [claim for claim in found if claim is not None]
    job = jobs.get(engine, job_id)
    assert (job.state, job.attempt, job.tries, job.holder) == (State.RUNNING, 1, 1, won.job.holder)
    assert attempts(engine, job_id) == [(1, "ingest", None)]


def test_of_twenty_claimers_of_a_lapsed_lease_one_wins(engine, queued, change):
    job_id = queued()
    assert take(engine, job_id)
    change(job_id, lease_until=clock.after(-1))
    found = at_once(20, lambda n: take(engine, job_id, holder=f"host:{n}:1.0:1"))
    (won,) = [claim for claim in found if claim is not None]
    assert won.fence == 2
    assert attempts(engine, job_id) == [(1, "ingest", "lost"), (2, "ingest", None)]


def test_a_claim_carries_the_job_as_it_is_now(engine, queued):
    job_id = queued()
    claim = take(engine, job_id, lease=30)
    assert claim.job == jobs.get(engine, job_id)
    assert (claim.fence, claim.job.parameters) == (1, {"strength": 0.5})
    assert 0 < (claim.job.lease_until - clock.now()).total_seconds() <= 30


def test_a_job_of_another_stage_or_one_that_lives_is_not_taken(engine, queued):
    job_id = queued()
    assert take(engine, job_id, stage=Stage.EFFECT) is None
    assert take(engine, job_id)
    assert take(engine, job_id, holder="host:2:1.0:1") is None
    assert take(engine, job_id, holder="host:2:1.0:1", dead_holder="host:3:1.0:1") is None
    assert jobs.get(engine, job_id).attempt == 1


def test_a_dead_holders_lease_need_not_run_out(engine, queued):
    job_id = queued()
    assert take(engine, job_id, holder="host:1:1.0:1", lease=3600)
    claim = take(engine, job_id, holder="host:2:1.0:1", dead_holder="host:1:1.0:1")
    assert (claim.fence, claim.job.tries) == (2, 2)
    assert attempts(engine, job_id) == [(1, "ingest", "lost"), (2, "ingest", None)]


def test_a_holder_that_was_released_meanwhile_is_not_dead_again(engine, queued):
    job_id = queued()
    old = take(engine, job_id, holder="host:1:1.0:1")
    assert claims.wait(engine, old, delay=60, outcome="x")
    assert take(engine, job_id, holder="host:2:1.0:1", dead_holder="host:1:1.0:1") is None


def store_result(engine, claim):
    with engine.begin() as connection:
        return assets.reserve(
            connection,
            claim.job.id,
            retention=Retention.RESULT,
            suffix=".jpg",
            attempt=claim.fence,
            due_after=HOUR,
            deadline_after=2 * HOUR,
            lease=60,
        )


@pytest.mark.parametrize("loss", ["newer claim", "cancelled", "requeued", "failed by a dead letter", "finished"])
@pytest.mark.parametrize("operation", ["extend", "holds", "advance", "finish", "wait", "hand_back", "fail"])
def test_whoever_lost_a_claim_changes_nothing(engine, queued, change, row, loss, operation):
    job_id = queued()
    old = take(engine, job_id)
    result = store_result(engine, old)
    change(job_id, lease_until=clock.after(-1))
    match loss:
        case "newer claim":
            assert take(engine, job_id, holder="host:2:1.0:1")
        case "cancelled":
            assert jobs.end(engine, job_id, to=State.CANCELLED)
        case "requeued":
            assert jobs.requeue_lapsed(engine) == [job_id]
        case "failed by a dead letter":
            assert jobs.end(engine, job_id, to=State.FAILED, error="worker_lost", error_text="x")
        case "finished":
            new = take(engine, job_id, holder="host:2:1.0:1")
            assert claims.finish(engine, new, result_id=store_result(engine, new).id, size=3)
    earlier = row(job_id), assets.of_job(engine, job_id), attempts(engine, job_id)
    calls = {
        "extend": lambda: claims.extend(engine, old, done=5),
        "holds": lambda: claims.holds(engine, old),
        "hand_back": lambda: claims.hand_back(engine, old, outcome="stopped"),
        "advance": lambda: claims.advance(engine, old, to=Stage.EFFECT, units_total=3),
        "finish": lambda: claims.finish(engine, old, result_id=result.id, size=3),
        "wait": lambda: claims.wait(engine, old, delay=5, outcome="x"),
        "fail": lambda: claims.fail(engine, old, error="x", error_text="x"),
    }
    assert not calls[operation]()
    assert (row(job_id), assets.of_job(engine, job_id), attempts(engine, job_id)) == earlier


def test_extending_renews_the_lease_and_notes_progress(engine, queued, change):
    job_id = queued()
    claim = take(engine, job_id)
    change(job_id, lease_until=clock.after(-1))
    assert claims.extend(engine, claim)
    assert jobs.get(engine, job_id).lease_until > clock.after(30)
    assert claims.extend(engine, claim, done=5)
    job = jobs.get(engine, job_id)
    assert (job.units_done, job.state) == (5, State.RUNNING)


def test_advancing_queues_the_next_stage_with_its_own_tries(engine, queued):
    job_id = queued()
    jobs.mark_sent(engine, [jobs.get(engine, job_id)])
    assert jobs.unsent(engine, limit=9) == []
    claim = take(engine, job_id)
    job = claims.advance(engine, claim, to=Stage.EFFECT, units_total=132)
    assert job == jobs.get(engine, job_id)
    assert (job.state, job.stage, job.tries, job.units_total) == (State.QUEUED, Stage.EFFECT, 0, 132)
    assert (job.holder, job.lease_until) == (None, None)
    assert [found.id for found in jobs.unsent(engine, limit=9)] == [job_id]
    assert take(engine, job_id) is None
    assert take(engine, job_id, stage=Stage.EFFECT).fence == 2
    assert attempts(engine, job_id) == [(1, "ingest", "done"), (2, "effect", None)]


def test_finishing_keeps_the_result_and_makes_everything_else_due(engine, queued):
    job_id = queued()
    claim = take(engine, job_id)
    lost, result = store_result(engine, claim), store_result(engine, claim)
    assert claims.finish(engine, claim, result_id=result.id, size=3)
    job = jobs.get(engine, job_id)
    assert (job.state, job.units_done, job.holder, job.lease_until) == (State.DONE, 1, None, None)
    assert job.finished_at is not None and job.parameters is None
    states = {asset.id: (asset.state, asset.size) for asset in assets.of_job(engine, job_id)}
    assert states[result.id] == (AssetState.STORED, 3)
    assert [asset.retention for asset in assets.due(engine, limit=9)] == [Retention.INPUT]
    # As soon as whoever wrote it can write no more.
    rows.set_asset(engine, lost.id, lease_until=clock.after(-1))
    due = assets.due(engine, limit=9)
    assert {asset.retention for asset in due} == {Retention.INPUT, Retention.RESULT}
    assert lost.id in {asset.id for asset in due}
    assert result.id not in {asset.id for asset in due}


def test_waiting_keeps_the_assets_and_the_count_of_tries(engine, queued):
    job_id = queued()
    assert claims.wait(engine, take(engine, job_id), delay=-1, outcome="storage_error")
    job = jobs.get(engine, job_id)
    assert (job.state, job.tries, job.holder) == (State.WAITING, 1, None)
    assert job.parameters is not None
    assert take(engine, job_id) is None
    assert assets.due(engine, limit=9) == []
    assert jobs.requeue_lapsed(engine) == [job_id]
    assert take(engine, job_id).job.tries == 2
    assert attempts(engine, job_id)[0] == (1, "ingest", "storage_error")


def test_failing_says_why_and_makes_all_assets_due(engine, queued):
    job_id = queued()
    assert claims.fail(engine, take(engine, job_id), error="damaged_media", error_text="send another")
    job = jobs.get(engine, job_id)
    assert (job.state, job.error, job.error_text) == (State.FAILED, "damaged_media", "send another")
    assert job.parameters is None
    assert [asset.retention for asset in assets.due(engine, limit=9)] == [Retention.INPUT]
    assert attempts(engine, job_id) == [(1, "ingest", "damaged_media")]


def test_handing_back_is_as_if_the_attempt_had_not_been(engine, queued):
    job_id = queued()
    jobs.mark_sent(engine, [jobs.get(engine, job_id)])
    for returns in range(1, 6):
        claim = take(engine, job_id)
        assert (claim.tries, claim.job.returns) == (1, returns - 1)
        assert claims.holds(engine, claim)
        back = claims.hand_back(engine, claim, outcome="stopped")
        assert back == jobs.get(engine, job_id)
        assert (back.state, back.tries, back.returns, back.holder) == (State.QUEUED, 0, returns, None)
    # Its message is gone with the worker.
    assert [job.id for job in jobs.unsent(engine, limit=9)] == [job_id]
    assert {outcome for _, _, outcome in attempts(engine, job_id)} == {"stopped"}


def test_waiting_for_our_own_fault_counts_no_try(engine, queued):
    job_id = queued()
    assert claims.wait(engine, take(engine, job_id), delay=-1, outcome="storage_unreachable", counted=False)
    job = jobs.get(engine, job_id)
    assert (job.state, job.tries, job.returns) == (State.WAITING, 0, 1)


def test_a_holder_takes_what_it_holds_already_and_counts_it_once(engine, queued):
    job_id = queued()
    first = take(engine, job_id)
    second = take(engine, job_id)
    assert (second.fence, second.tries) == (2, 1)
    assert not claims.holds(engine, first)


def test_an_end_that_is_repeated_says_the_same(engine, queued):
    job_id = queued()
    claim = take(engine, job_id)
    result = store_result(engine, claim)
    for _ in range(2):
        due = claims.finish(engine, claim, result_id=result.id, size=3)
        assert [asset.retention for asset in due] == [Retention.INPUT]
    assert {asset.id: asset.state for asset in assets.of_job(engine, job_id)}[result.id] is AssetState.STORED
