"""What a snapshot says of the time that is left."""

import dataclasses
import datetime

import pytest

from mayfly.client.job import Job
from mayfly.db.states import State

NOW = datetime.datetime(2026, 5, 4, 12, 0, tzinfo=datetime.UTC)
RUNNING = Job(
    id="x",
    effect="anime",
    media="video",
    state=State.RUNNING,
    units_done=100,
    units_total=400,
    error=None,
    error_text=None,
    created_at=NOW - datetime.timedelta(seconds=60),
    started_at=NOW - datetime.timedelta(seconds=50),
    finished_at=None,
)


def test_the_rest_takes_as_long_as_what_is_done():
    assert RUNNING.remaining(NOW) == pytest.approx(150)
    assert RUNNING.remaining(NOW + datetime.timedelta(seconds=50)) == pytest.approx(300)


@pytest.mark.parametrize(
    "changes",
    [
        {"units_done": 0},
        {"units_total": None},
        {"started_at": None},
        {"state": State.QUEUED},
        {"state": State.DONE},
    ],
)
def test_without_a_pace_there_is_no_answer(changes):
    assert dataclasses.replace(RUNNING, **changes).remaining(NOW) is None


def test_more_frames_than_the_header_promised_are_no_negative_time():
    assert dataclasses.replace(RUNNING, units_done=500).remaining(NOW) == 0
