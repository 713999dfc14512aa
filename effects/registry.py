"""Which effects there are: every package of mayfly.effects.library, and of the packages that settings name."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import pydantic

from mayfly.effects import library
from mayfly.effects.contract import AnyEffect, Declaration, Parameters
from mayfly.effects.errors import DuplicateEffect, InvalidParameters, NoEffectModule, UnknownEffect

E = TypeVar("E", bound=type[AnyEffect])

_effects: dict[str, type[AnyEffect]] = {}


def register(effect: E) -> E:
    """Class decorator: enter an effect under its declared name. Raises DuplicateEffect."""
    name = effect.declaration.name
    known = _effects.get(name)
    if known is not None and known.__qualname__ + known.__module__ != effect.__qualname__ + effect.__module__:
        raise DuplicateEffect(f"two effects are called {name}: {known.__module__} and {effect.__module__}")
    _effects[name] = effect
    return effect


def load(modules: Iterable[str] = ()) -> Mapping[str, type[AnyEffect]]:
    """Import the library and the further modules, and return every effect by name, in alphabetical order.

    Raises:
        NoEffectModule: one of the further modules is not there.
    """
    for module in pkgutil.iter_modules(library.__path__):
        importlib.import_module(f"{library.__name__}.{module.name}")
    for name in modules:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Not one that the module itself imports.
            if error.name is not None and f"{name}.".startswith(f"{error.name}."):
                raise NoEffectModule("MAYFLY_EFFECT_MODULES names a module that is not there") from None
            raise
    return dict(sorted(_effects.items()))


def declaration(name: str) -> Declaration:
    """The declaration of one effect. Raises UnknownEffect."""
    return find(name).declaration


def find(name: str) -> type[AnyEffect]:
    """The class of one effect. Raises UnknownEffect."""
    try:
        return load()[name]
    except (KeyError, TypeError):
        raise UnknownEffect(f"there is no effect of this name; there are: {', '.join(load())}") from None


def parameters(name: str, given: Mapping[str, Any]) -> Parameters:
    """Validate parameters against the effect's declaration; strings are read as the declared types.

    Raises:
        UnknownEffect: no effect has this name.
        InvalidParameters: a parameter is unknown, of the wrong type or out of bounds; the message names each
            parameter and its bounds, never the given value.
    """
    if not isinstance(given, Mapping) or not all(isinstance(key, str) for key in given):
        raise InvalidParameters("parameters are a mapping of names, which are text, to values")
    try:
        return declaration(name).parameters.model_validate(dict(given))
    except pydantic.ValidationError as error:
        known = declaration(name).parameters.model_fields
        lines = []
        for problem in error.errors(include_url=False, include_context=False, include_input=False):
            field = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                # The caller's word is not repeated: it may be anything.
                lines.append(f"{name} takes only these parameters: {', '.join(known) or 'none'}")
            else:
                said = problem["msg"].removeprefix("Value error, ")
                lines.append(f"{field}: {said[0].lower()}{said[1:]}" if field else said)
        raise InvalidParameters("; ".join(dict.fromkeys(lines))) from None
