"""The retention policy: targets under the maxima, which nothing lengthens."""

import datetime

import pytest
from pydantic import ValidationError

from mayfly.db.states import Retention
from mayfly.purge.policy import DAY, HOUR, MAXIMUM, Policy
from mayfly.settings import Settings

SECOND = datetime.timedelta(seconds=1)


def test_the_maxima_are_what_is_promised():
    assert MAXIMUM == {
        Retention.FACE_INPUT: 24 * HOUR,
        Retention.INPUT: 24 * HOUR,
        Retention.INTERMEDIATE: 24 * HOUR,
        Retention.RESULT: 15 * DAY,
        Retention.PREVIEW: 15 * DAY,
    }


@pytest.mark.parametrize("retention", Retention)
def test_targets_lie_under_the_maxima_by_default(retention):
    term = Policy.of(Settings()).term(retention)
    assert term.deadline_after == MAXIMUM[retention]
    wanted = 14.5 * DAY if retention in (Retention.RESULT, Retention.PREVIEW) else 22 * HOUR
    assert term.due_after == wanted < term.deadline_after


def test_settings_can_shorten():
    policy = Policy.of(Settings(input_retention=60, result_retention=120))
    assert policy.term(Retention.FACE_INPUT).due_after == 60 * SECOND
    assert policy.term(Retention.RESULT).due_after == 120 * SECOND
    assert policy.term(Retention.RESULT).deadline_after == 15 * DAY


@pytest.mark.parametrize("retention", Retention)
def test_no_policy_exceeds_a_maximum(retention):
    Policy({retention: MAXIMUM[retention]})
    with pytest.raises(ValueError, match="at most"):
        Policy({retention: MAXIMUM[retention] + SECOND})


@pytest.mark.parametrize("name", ["input_retention", "result_retention", "job_history"])
def test_no_setting_exceeds_a_maximum(name, monkeypatch):
    longest = {"input_retention": 24 * 3600, "result_retention": 15 * 24 * 3600, "job_history": 15 * 24 * 3600}[name]
    Policy.of(Settings(**{name: longest}))
    for seconds in (longest + 1, float("inf"), float("nan"), 0, -1):
        monkeypatch.setenv(f"MAYFLY_{name.upper()}", str(seconds))
        with pytest.raises(ValidationError):
            Settings()


def test_every_class_has_a_target():
    assert set(Policy.of(Settings()).targets) == set(MAXIMUM) == set(Retention)
