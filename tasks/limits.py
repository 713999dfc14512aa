"""The limits on uploads, from the settings to what the media package takes; producers and workers use the same."""

from __future__ import annotations

import dataclasses

from mayfly.media.limits import Limits
from mayfly.settings import Settings


def of(settings: Settings) -> Limits:
    """The limits that the settings ask for."""
    return Limits(**{field.name: getattr(settings, field.name) for field in dataclasses.fields(Limits)})
