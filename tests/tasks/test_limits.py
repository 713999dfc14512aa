"""Every limit comes from its own setting."""

import dataclasses

from media.limits import Limits
from settings import Settings
from tasks import limits


def test_every_limit_is_a_setting():
    given = {field.name: 11 + position for position, field in enumerate(dataclasses.fields(Limits))}
    assert dataclasses.asdict(limits.of(Settings(**given))) == given


def test_the_defaults_agree():
    assert limits.of(Settings()) == Limits()
