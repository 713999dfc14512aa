"""One finder for all tests of vision: loading its models takes a second."""

import pytest

from mayfly.effects.vision.finder import Finder


@pytest.fixture(scope="session")
def finder():
    return Finder()
