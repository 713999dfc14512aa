"""What is personal of a job is blanked even where no destruction did it, and that it was is kept."""

import pytest

from mayfly.db import assets, findings, jobs, personal
from mayfly.db.states import State

FIELDS = {
    "parameters": {"strength": 1},
    "output": {"preview": True},
    "video": {"container": "MP4"},
    "owner": "o",
    "consent": "c",
    "idempotency_key": "k",
    "fingerprint": "f",
}


@pytest.fixture
def ended(engine, queued):
    """Make a job that has ended and of which nothing is stored; returns its id."""

    def make():
        job_id = queued()
        jobs.end(engine, job_id, to=State.CANCELLED)
        assets.record_destruction(engine, *assets.of_job(engine, job_id), verified="x")
        return job_id

    return make


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_that_was_left_behind_is_blanked(engine, ended, change, row, name):
    job_id = ended()
    change(job_id, **{name: FIELDS[name]})
    assert personal.forget_left_behind(engine, most=9) == 1
    assert row(job_id)[name] is None
    assert personal.forget_left_behind(engine, most=9) == 0


def test_what_is_still_needed_stays(engine, queued, row):
    unfinished, stored = queued(), queued()
    assets.record_destruction(engine, *assets.of_job(engine, unfinished), verified="x")
    jobs.end(engine, stored, to=State.CANCELLED)
    assert personal.forget_left_behind(engine, most=9) == 0
    assert row(unfinished)["owner"] == row(stored)["owner"] == "owner-1"


def test_it_is_done_in_batches_and_all_are_counted(engine, ended, change):
    assert findings.get(engine, findings.LEFT_BEHIND) is None
    for _ in range(3):
        change(ended(), owner="left")
    assert [personal.forget_left_behind(engine, most=2) for _ in range(3)] == [2, 1, 0]
    assert findings.get(engine, findings.LEFT_BEHIND).count == 3
