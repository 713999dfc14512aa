"""What may wait is bounded, for one owner and for all; what is refused leaves nothing behind."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from mayfly.db import assets, backlog, jobs
from mayfly.db.errors import Overloaded
from mayfly.db.states import State
from mayfly.db.tables import ASSETS, JOBS
from tests import clock, rows

MANY = 1000
WIDE = {"owner_jobs": MANY, "owner_bytes": MANY, "jobs": MANY, "bytes": MANY}


def bounds(**changes):
    return backlog.Bounds(**WIDE | changes)


def count(engine):
    with engine.connect() as connection:
        return [connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() for table in (JOBS, ASSETS)]


def test_one_too_many_of_an_owner_is_refused_and_nothing_is_stored(engine, create):
    for _ in range(2):
        create(bounds=bounds(owner_jobs=2))
    with pytest.raises(Overloaded) as raised:
        create(bounds=bounds(owner_jobs=2))
    assert raised.value.code == "overloaded"
    assert count(engine) == [2, 2]
    create(bounds=bounds(owner_jobs=2), owner="another")
    create(bounds=bounds(owner_jobs=2), owner=None)


def test_bytes_too_many_of_an_owner_are_refused(engine, create):
    create(bounds=bounds(owner_bytes=100), size=60)
    with pytest.raises(Overloaded):
        create(bounds=bounds(owner_bytes=100), size=41)
    create(bounds=bounds(owner_bytes=100), size=40)
    create(bounds=bounds(owner_bytes=100), size=90, owner="another")
    assert count(engine) == [3, 3]


@pytest.mark.parametrize("owner", ["another", None])
def test_one_too_many_of_all_is_refused(engine, create, owner):
    create(bounds=bounds(jobs=2))
    create(bounds=bounds(jobs=2), owner=None)
    with pytest.raises(Overloaded):
        create(bounds=bounds(jobs=2), owner=owner)
    assert count(engine) == [2, 2]


@pytest.mark.parametrize("owner", ["another", None])
def test_bytes_too_many_of_all_are_refused(create, owner):
    create(bounds=bounds(bytes=100), size=60, owner=None)
    with pytest.raises(Overloaded):
        create(bounds=bounds(bytes=100), size=41, owner=owner)


@pytest.mark.parametrize("state", [state for state in State if not state.final])
def test_whatever_is_not_finished_counts(create, change, state):
    job, _ = create()
    change(job.id, state=state.value)
    with pytest.raises(Overloaded):
        create(bounds=bounds(owner_jobs=1))


@pytest.mark.parametrize("state", [state for state in State if state.final])
def test_what_is_finished_makes_room(create, change, state):
    job, _ = create(size=100)
    change(job.id, state=state.value)
    create(bounds=bounds(owner_jobs=1, jobs=1, owner_bytes=100, bytes=100), size=100)


def test_a_job_that_is_there_is_found_however_many_wait(engine, create):
    keyed = {"idempotency_key": "k", "fingerprint": "f"}
    first, _ = create(**keyed)
    create()
    assert create(**keyed, bounds=bounds(owner_jobs=1))[0].id == first.id
    assert create(job_id=first.id, bounds=bounds(owner_jobs=1))[0].id == first.id


def test_a_refused_submit_leaves_its_key_with_whoever_had_it(engine, create, row):
    keyed = {"idempotency_key": "k", "fingerprint": "f"}
    first, _ = create(**keyed, lease=-1)  # lapsed, so that it would make way
    create()
    with pytest.raises(Overloaded):
        create(**keyed, bounds=bounds(owner_jobs=1))
    assert row(first.id)["idempotency_key"] == "k"
    assert jobs.get(engine, first.id).state is State.UPLOADING


def test_of_many_at_once_an_owner_gets_as_many_as_may_wait(engine):
    barrier = threading.Barrier(8, timeout=30)

    def submit(_):
        barrier.wait()
        try:
            rows.create(engine, bounds=bounds(owner_jobs=3))
        except Overloaded:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(submit, range(8), timeout=60)) == 3
    assert count(engine) == [3, 3]


@pytest.mark.parametrize(
    ("age", "waiting", "expected"),
    [(0, 4, backlog.SOONEST_SECONDS), (400, 4, 100), (1e6, 2, backlog.LATEST_SECONDS)],
)
def test_it_says_when_to_come_back_by_the_pace_of_those_that_wait(engine, create, change, age, waiting, expected):
    for _ in range(waiting - 1):
        job, _ = create()
        change(job.id, created_at=clock.after(-age))
    for limit in ({"owner_jobs": waiting - 1}, {"jobs": waiting - 1}):
        with pytest.raises(Overloaded) as raised:
            create(bounds=bounds(**limit))
        assert raised.value.retry_after == pytest.approx(expected, abs=10)
        assert f"{raised.value.retry_after} s" in str(raised.value)


def test_the_owner_is_not_told(create):
    create(owner="owner-4711")
    with pytest.raises(Overloaded) as raised:
        create(owner="owner-4711", bounds=bounds(owner_jobs=1))
    assert "4711" not in str(raised.value)


def test_what_is_destroyed_early_waits_no_more(engine, create):
    job, asset = create(size=90)
    jobs.end(engine, job.id, to=State.CANCELLED)
    assets.record_destruction(engine, asset, verified="absent")
    create(bounds=bounds(owner_bytes=100), size=90)
