"""What can go wrong between a request and an effect.

EffectError
├── UnknownEffect        unknown_effect      no effect has this name
├── InvalidParameters    invalid_parameters  unknown, mistyped or out of range
├── NoEffectModule       no_effect_module    a module of effects that settings name is not there
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
    """No effect has this name."""

    code = "unknown_effect"
    remedy = "Name one that `mayfly effects` lists; one of your own needs MAYFLY_EFFECT_MODULES, on workers too."


class InvalidParameters(EffectError):
    """A parameter is unknown, of the wrong type, out of bounds, or does not go with this file."""

    code = "invalid_parameters"
    remedy = "Mend the parameters that the text names; `mayfly effects` lists them with their bounds."


class NoEffectModule(EffectError):
    """A module of effects that the settings name is not there."""

    code = "no_effect_module"
    remedy = "Mend MAYFLY_EFFECT_MODULES, or install what has the module."


class DuplicateEffect(EffectError):
    """Two effects have one name."""

    code = "duplicate_effect"
    remedy = "Rename one of the two: a mistake of whoever wrote the effect, found when its module is loaded."


class WeightsError(EffectError):
    """Weights of a network are missing, or are not the bytes that their manifest names."""

    code = "bad_weights"
    remedy = "Run `mayfly models verify` on the worker's machine and install what it names; jobs wait for it meanwhile."


class UnknownModel(EffectError):
    """No model of this name is installed, or it is of another kind."""

    code = "unknown_model"
    remedy = "Name one that `mayfly models list` shows, or have it installed."


class NoFace(EffectError):
    """The effect needs a face, and the picture has none, or fewer than `face` says."""

    code = "no_face"
    remedy = "Send a picture in which a face is seen, or a smaller `face`."


class NoPerson(EffectError):
    """The effect needs a person, and the picture has none."""

    code = "no_person"
    remedy = "Send a picture in which a person is seen."
