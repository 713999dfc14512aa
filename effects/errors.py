"""What can go wrong between a request and an effect.

EffectError
├── UnknownEffect        unknown_effect      no effect has this name
├── InvalidParameters    invalid_parameters  unknown, mistyped or out of range
├── DuplicateEffect      duplicate_effect    two effects claim one name (a programming error)
├── WeightsError         bad_weights         missing, or not the bytes that the manifest names
├── UnknownModel         unknown_model       no model of this name is installed, or not one of this kind
├── NoFace               no_face             the effect needs a face and there is none, or not so many
└── NoPerson             no_person           the effect needs a person and there is none
"""

from __future__ import annotations

from mayfly.errors import MayflyError


class EffectError(MayflyError):
    """The root of this package's errors."""

    code = "effect_error"


class UnknownEffect(EffectError):
    code = "unknown_effect"


class InvalidParameters(EffectError):
    code = "invalid_parameters"


class DuplicateEffect(EffectError):
    code = "duplicate_effect"


class WeightsError(EffectError):
    code = "bad_weights"


class UnknownModel(EffectError):
    code = "unknown_model"


class NoFace(EffectError):
    code = "no_face"


class NoPerson(EffectError):
    code = "no_person"
