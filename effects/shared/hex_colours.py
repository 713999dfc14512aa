"""Colours that come as text, `#rrggbb`, among an effect's parameters."""

from __future__ import annotations

PATTERN = r"^#[0-9a-fA-F]{6}$"


def levels(text: str) -> tuple[float, float, float]:
    """Red, green and blue of a text that PATTERN allows, in 0…1."""
    red, green, blue = (value / 255 for value in bytes.fromhex(text[1:]))
    return red, green, blue
