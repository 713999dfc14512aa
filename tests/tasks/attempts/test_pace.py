"""A long video is noticed by its first frames, a short one is never disturbed."""

import pytest
import torch

from mayfly.tasks.attempts import pace
from mayfly.tasks.attempts.pace import NeedsSplitting, Paced

FRAMES = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when it is told to."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    found = Clock()
    monkeypatch.setattr(pace.time, "monotonic", found.monotonic)
    return found


def run(clock, paced, batches):
    """Feed batches; returns how many were taken before NeedsSplitting."""
    for number in range(batches):
        try:
            paced(FRAMES)
        except NeedsSplitting as needed:
            return number, needed.segments
        assert clock
    return batches, None


def paced(clock, *, frames, most, seconds, first=None, places=2):
    costs = iter([seconds if first is None else first])

    def apply(given):
        clock.now += next(costs, seconds)
        return given

    return Paced(apply, frames=frames, most=most, plan=lambda pace: [pace] * places)


def test_the_pace_of_the_first_frames_decides(clock):
    taken, found = run(clock, paced(clock, frames=1000, most=20, seconds=0.2), 100)
    assert taken == 3  # one to warm up, two are over 0.3 seconds
    assert found == pytest.approx([0.05] * 2)


def test_the_first_batch_is_not_counted(clock):
    _, found = run(clock, paced(clock, frames=1000, most=20, seconds=0.2, first=9.0), 100)
    assert found == pytest.approx([0.05] * 2)


def test_a_video_that_is_short_enough_is_left_alone(clock):
    one = paced(clock, frames=400, most=20.001, seconds=0.2)
    assert run(clock, one, 100) == (100, None)
    assert one.decided


def test_it_decides_once(clock):
    one = paced(clock, frames=1000, most=20, seconds=0.2)
    run(clock, one, 100)
    assert run(clock, one, 100) == (100, None)


def test_a_video_that_cannot_be_cut_goes_on_as_it_is(clock):
    one = paced(clock, frames=1000, most=20, seconds=0.2, places=1)
    assert run(clock, one, 100) == (100, None)
    assert one.decided
