"""The functions that change a job's state make every transition that mayfly.db.states declares, and no other."""

import uuid

import pytest

from mayfly.db import assets, claims, jobs
from mayfly.db.claims import Claim
from mayfly.db.states import TRANSITIONS, AssetState, Retention, Stage, State, before
from tests import clock

PAST, FUTURE = -60, 60


def columns(state):
    """What a row in this state holds; each entry is one variant that matters to some function."""
    match state:
        case State.UPLOADING:
            return [{"lease_until": clock.after(FUTURE)}, {"lease_until": clock.after(PAST)}]
        case State.RUNNING:
            held = {"holder": "host:1:1.0:1", "attempt": 1, "tries": 1}
            return [held | {"lease_until": clock.after(FUTURE)}, held | {"lease_until": clock.after(PAST)}]
        case State.WAITING:
            return [{"retry_at": clock.after(FUTURE)}, {"retry_at": clock.after(PAST)}]
        case State.DONE | State.FAILED | State.CANCELLED:
            return [{"finished_at": clock.now()}]
    return [{}, {"sent_at": clock.after(-3600)}]


def operations(engine, job_id, asset_id):
    """Every function that writes to jobs, as the newest holder of the claim would call it."""
    claim = Claim(job=jobs.get(engine, job_id), input=None, lease=60)
    take = {"stage": Stage.INGEST, "holder": "host:2:2.0:2", "lease": 60}
    return {
        "take": lambda: claims.take(engine, job_id, **take),
        "take from the dead": lambda: claims.take(engine, job_id, **take, dead_holder="host:1:1.0:1"),
        "extend": lambda: claims.extend(engine, claim, done=1),
        "advance": lambda: claims.advance(engine, claim, to=Stage.EFFECT, units_total=1),
        "finish": lambda: claims.finish(engine, claim, result_id=uuid.uuid4(), size=1),
        "wait": lambda: claims.wait(engine, claim, delay=5, outcome="x"),
        "claims.fail": lambda: claims.fail(engine, claim, error="x", error_text="x"),
        "extend_upload": lambda: jobs.extend_upload(engine, job_id, asset_id, lease=60),
        "mark_uploaded": lambda: jobs.mark_uploaded(engine, job_id, asset_id, size=1),
        "mark_sent": lambda: jobs.mark_sent(engine, [jobs.get(engine, job_id)]),
        "end as failed": lambda: jobs.end(engine, job_id, to=State.FAILED, error="x", error_text="x"),
        "end as cancelled": lambda: jobs.end(engine, job_id, to=State.CANCELLED),
        "requeue_lapsed": lambda: jobs.requeue_lapsed(engine),
        "adopt": lambda: jobs.adopt(engine),
        "abandoned_uploads": lambda: jobs.abandoned_uploads(engine),
        "due": lambda: assets.due(engine, limit=9),
    }


@pytest.mark.parametrize("state", State)
def test_functions_make_the_declared_transitions_and_no_other(engine, create, change, row, state):
    reached = {}
    names = operations(engine, *(part.id for part in create()))
    for variant in range(len(columns(state))):
        for name in names:
            job, asset = create()
            change(job.id, state=state.value, **columns(state)[variant])
            earlier = row(job.id)
            operations(engine, job.id, asset.id)[name]()
            later = row(job.id)
            if later["state"] != state or (state is State.RUNNING and later["attempt"] != earlier["attempt"]):
                reached.setdefault(State(later["state"]), []).append(name)
            elif state.final:
                assert later == earlier, name
    assert set(reached) == TRANSITIONS[state], reached


def test_only_these_states_are_final():
    assert {state for state in State if state.final} == {State.DONE, State.FAILED, State.CANCELLED}


def test_before_is_the_inverse():
    assert before(State.DONE) == {State.RUNNING}
    assert before(State.UPLOADING) == frozenset()
    for target in State:
        assert before(target) == {state for state in State if target in TRANSITIONS[state]}


def test_every_state_can_be_reached_and_left_for_a_final_one():
    reachable = {State.UPLOADING}
    while more := {target for state in reachable for target in TRANSITIONS[state]} - reachable:
        reachable |= more
    assert reachable == set(State)
    assert all({State.FAILED, State.CANCELLED} <= TRANSITIONS[state] for state in State if not state.final)


def test_names_are_those_of_rows_that_exist():
    assert {state.value for state in State} == {
        "uploading",
        "queued",
        "running",
        "waiting",
        "done",
        "failed",
        "cancelled",
    }
    assert {stage.value for stage in Stage} == {"ingest", "effect", "segments", "join"}
    assert {state.value for state in AssetState} == {"pending", "stored", "destroyed"}
    assert {one.value for one in Retention} == {"face_input", "input", "intermediate", "result", "preview"}
    assert {one for one in Retention if one.is_input} == {Retention.FACE_INPUT, Retention.INPUT}
    assert {state for state in State if state.final} == {State.DONE, State.FAILED, State.CANCELLED}
