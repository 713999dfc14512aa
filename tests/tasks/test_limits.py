"""Every limit comes from its own setting."""

import dataclasses

from mayfly.media.limits import Limits
from mayfly.settings import Settings
from mayfly.tasks import limits


def test_every_limit_is_a_setting():
    given = {field.name: 11 + position for position, field in enumerate(dataclasses.fields(Limits))}
    assert dataclasses.asdict(limits.of(Settings(**given))) == given


def test_the_defaults_agree():
    assert limits.of(Settings()) == Limits()
