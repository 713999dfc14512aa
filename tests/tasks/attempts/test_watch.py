"""The watch over an attempt: what it asks, when, and what it says; by a clock that the test moves."""

import threading

import pytest

from mayfly.db.errors import DatabaseMissing
from mayfly.tasks.attempts import watch
from mayfly.tasks.errors import ClaimLost, Stopped, TimeOver


class Work:
    """Work of an attempt that notes when it was asked what; each second is asked for in ticks of the watch."""

    def __init__(self, monkeypatch, *, lease=60.0, lasts=200.0, ends=False):
        self.lease, self.lasts, self.ends = lease, lasts, ends
        self.stopping = threading.Event()
        self.now = 0.0
        self.asked, self.reasons, self.given_up = [], [], []
        self.away, self.lost_at, self.over_at = (0.0, 0.0), None, None
        monkeypatch.setattr(watch.time, "monotonic", lambda: self.now)

    def ended(self, seconds):
        """Whether the work has ended when so much time has passed."""
        self.now += seconds
        return self.now >= self.lasts or (self.ends and bool(self.reasons))

    def _ask(self, what):
        self.asked.append((what, round(self.now, 1)))
        if self.away[0] <= self.now < self.away[1]:
            raise DatabaseMissing("the database does not answer")
        return self.lost_at is None or self.now < self.lost_at

    def extend(self):
        return self._ask("extend")

    def holds(self):
        return self._ask("holds")

    def over(self):
        return self.over_at is not None and self.now >= self.over_at

    def end(self, reason):
        assert " " in str(reason), "a sentence, which a person may read"
        self.reasons.append((type(reason), round(self.now, 1)))

    def give_up(self, reason):
        self.given_up.append((type(reason), round(self.now, 1)))

    def times(self, what):
        return [at for asked, at in self.asked if asked == what]


def run(work):
    watch._watch(work, work.ended)


def test_a_lease_is_renewed_three_times_before_it_would_end(monkeypatch):
    work = Work(monkeypatch, lease=60.0, lasts=130.0)
    run(work)
    assert work.times("extend") == pytest.approx([20, 40, 60, 80, 100, 120], abs=0.8)
    # In between it looks, without writing, whether it still has its claim.
    asked = sorted(work.times("extend") + work.times("holds"))
    gaps = [later - earlier for earlier, later in zip([0.0, *asked], asked, strict=False)]
    assert max(gaps) < 1.1
    assert len(asked) < 130 / 0.8
    assert (work.reasons, work.given_up) == ([], [])


@pytest.mark.parametrize("lease", [60.0, 0.9])
def test_a_lost_claim_ends_the_work_within_a_second(monkeypatch, lease):
    work = Work(monkeypatch, lease=lease, ends=True)
    work.lost_at = 5.0
    run(work)
    ((reason, at),) = work.reasons
    assert reason is ClaimLost
    assert at < 6.1
    assert work.given_up == []
    assert max(time for _, time in work.asked) == at, "nobody asks any more"


def test_what_does_not_end_is_given_up(monkeypatch):
    work = Work(monkeypatch)
    work.lost_at = 5.0
    run(work)
    ((_, ended),), ((reason, given_up),) = work.reasons, work.given_up
    assert reason is ClaimLost
    assert given_up - ended == pytest.approx(watch.GRACE_SECONDS, abs=0.11)


def test_a_stop_leaves_its_moment(monkeypatch):
    work = Work(monkeypatch)
    work.stopping.set()
    run(work)
    assert work.reasons == [(Stopped, 0.1)]
    ((reason, given_up),) = work.given_up
    assert reason is Stopped
    assert given_up == pytest.approx(0.1 + watch.STOP_GRACE_SECONDS)
    assert work.asked == []


def test_time_that_is_over_ends_the_work_whatever_the_database_says(monkeypatch):
    work = Work(monkeypatch, ends=True)
    work.over_at, work.away = 3.0, (0.0, 99.0)
    run(work)
    assert work.reasons == [(TimeOver, 3.0)]
    assert work.given_up == []


@pytest.mark.parametrize(("lease", "pause"), [(60.0, 1.0), (1.5, 0.5)])
def test_a_database_that_was_away_is_told_of_the_work_as_soon_as_it_is_back(monkeypatch, lease, pause):
    work = Work(monkeypatch, lease=lease, lasts=60.0)
    work.away = (2.0, 30.0)
    run(work)
    assert (work.reasons, work.given_up) == ([], [])
    tried = [at for at in work.times("extend") if 4.0 < at < 30.0]
    assert len(tried) == pytest.approx(26.0 / pause, rel=0.25)
    assert min(at for at in work.times("extend") if at >= 30.0) < 30.0 + pause + 0.2


def test_the_block_runs_under_watch_and_no_longer(monkeypatch):
    ended = threading.Event()
    work = Work(monkeypatch)
    work.stopping.set()
    monkeypatch.setattr(work, "end", lambda _: ended.set())
    with watch.over(work):
        assert ended.wait(30)
        assert "watch" in {thread.name for thread in threading.enumerate()}
    assert [thread for thread in threading.enumerate() if thread.name == "watch"] == []
