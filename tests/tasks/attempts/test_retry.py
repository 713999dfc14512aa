"""What is worth another attempt, by the error's type alone."""

import pytest

from mayfly.db import errors as database
from mayfly.effects import errors as effects
from mayfly.media import errors as media
from mayfly.tasks import errors as tasks
from mayfly.tasks.attempts import retry
from mayfly.tasks.attempts.retry import Failure, Retry


def verdict(error, *, tries=1, max_tries=3, delay=5.0, returns=0):
    return retry.verdict(error, tries=tries, max_tries=max_tries, delay=delay, returns=returns)


@pytest.mark.parametrize(
    "error",
    [media.ObjectMissing("x"), media.MediaToolError(), OSError("x"), MemoryError(), RuntimeError("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_may_pass_is_tried_again(error):
    code = getattr(error, "code", "internal_error")
    assert verdict(error, tries=1) == Retry(delay=5.0, code=code, counted=True)
    assert verdict(error, tries=2) == Retry(delay=10.0, code=code, counted=True)
    found = verdict(error, tries=3)
    assert isinstance(found, Failure)
    assert found.code == code


@pytest.mark.parametrize(
    "error",
    [
        media.StorageUnavailable("x"),
        media.DiskFull(),
        media.MachineFault(),
        database.DatabaseMissing("x"),
        effects.WeightsError("x"),
        tasks.BrokerMissing("x"),
        tasks.ScratchGone("x"),
        tasks.StillAway("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_our_own_fault_uses_no_attempt_and_never_fails_a_job(error):
    for tries in (1, 3, 99):
        assert verdict(error, tries=tries) == Retry(delay=5.0, code=error.code, counted=False)
    delays = [verdict(error, returns=returns).delay for returns in (0, 1, 2, 3, 50)]
    assert delays == [5, 10, 20, 30, 30]


@pytest.mark.parametrize(
    "error",
    [
        media.EmptyFile(),
        media.UnsupportedMedia("x"),
        media.DamagedMedia(),
        media.WrongKind("x"),
        media.TooLarge("x"),
        media.MediaTimeout(),
        effects.UnknownEffect("x"),
        effects.InvalidParameters("x"),
        tasks.TimeOver("x"),
        tasks.InputGone("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_say_the_same_again_fails_at_once(error):
    assert verdict(error) == Failure(error.code, str(error))


def test_a_foreign_errors_text_is_shown_to_nobody():
    found = verdict(ValueError("/home/anna/me.jpg"), tries=3)
    assert found.code == "internal_error"
    assert "anna" not in found.text


def test_the_delay_doubles():
    assert [verdict(OSError(), tries=n, max_tries=9, delay=2).delay for n in (1, 2, 3, 4)] == [2, 4, 8, 16]


def test_one_try_may_be_all():
    assert isinstance(verdict(OSError(), max_tries=1), Failure)
