"""Colours as text."""

import re

import pytest

from mayfly.effects.shared import hex_colours


def test_two_digits_are_a_level():
    assert hex_colours.levels("#ff3300") == (1.0, 0.2, 0.0)
    assert hex_colours.levels("#00CcfF") == (0.0, 0.8, 1.0)


@pytest.mark.parametrize("text", ["ff3300", "#ff33", "#ff3300ff", "#ff330g", "#ff33 0", "red", ""])
def test_other_texts_are_refused(text):
    assert re.search(hex_colours.PATTERN, "#ff3300")
    assert not re.search(hex_colours.PATTERN, text)
