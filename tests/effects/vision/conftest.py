"""One finder for all tests of vision: loading its models takes a second."""

import pytest
import torch

from mayfly.effects.vision.finder import Finder


@pytest.fixture(scope="session")
def finder():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield Finder()
    torch.set_num_threads(before)
