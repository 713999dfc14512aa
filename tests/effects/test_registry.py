"""The registry: effects by name, parameters by declaration, refusals that repeat nothing."""

import pytest

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Effect, Parameters
from mayfly.effects.errors import DuplicateEffect, InvalidParameters, NoEffectModule, UnknownEffect


class Nothing(Parameters):
    pass


def make(name):
    class Made(Effect[Nothing]):
        declaration = Declaration(name=name, summary="for a test", parameters=Nothing)

        def apply(self, frames, params):
            return frames

    return Made


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    registry.load(["benchmarks.effects"])
    monkeypatch.setattr(registry, "_effects", dict(registry._effects))


def test_the_library_and_further_modules_in_alphabetical_order():
    found = registry.load(["benchmarks.effects"])
    assert list(found) == sorted(found)
    assert {"anime", "enhance", "pass-through", "sleep"} <= set(found)
    assert all(effect.declaration.name == name for name, effect in found.items())


def test_a_module_that_is_not_there_is_an_error():
    with pytest.raises(NoEffectModule):
        registry.load(["no.such.module"])


def test_what_a_module_lacks_is_named(tmp_path, monkeypatch):
    (tmp_path / "lacking_effects.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="no_such_library"):
        registry.load(["lacking_effects"])


def test_a_name_is_taken_once():
    class Other(make("anime")):
        pass

    with pytest.raises(DuplicateEffect) as raised:
        registry.register(Other)
    assert raised.value.code == "duplicate_effect"
    assert registry.find("anime") is not Other


def test_a_module_that_is_loaded_again_is_no_duplicate():
    first, again = make("new"), make("new")
    assert registry.register(first) is first
    registry.register(again)
    assert registry.find("new") is again


@pytest.mark.parametrize("name", ["Anna Nym", "", "ANIME", "../anime"])
def test_an_unknown_effect_is_told_what_there_is(name):
    for call in (registry.find, registry.declaration, lambda one: registry.parameters(one, {})):
        with pytest.raises(UnknownEffect) as raised:
            call(name)
        assert raised.value.code == "unknown_effect"
        assert "anime, " in str(raised.value)
        assert "Anna" not in str(raised.value)


def test_strings_are_read_as_the_declared_types():
    assert registry.parameters("sleep", {"seconds": "0.25"}).seconds == 0.25
    assert registry.parameters("sleep", {}).seconds == 1.0


@pytest.mark.parametrize("given", [{"seconds": "geheim"}, {"seconds": -1}, {"seconds": 1e9}, {"geheim": 1}])
def test_a_refusal_names_the_parameter_and_never_what_was_given(given):
    with pytest.raises(InvalidParameters, match="seconds") as raised:
        registry.parameters("sleep", given)
    assert raised.value.code == "invalid_parameters"
    for part in ("geheim", "-1", "1000000000"):
        assert part not in str(raised.value)


def test_an_effect_without_parameters_says_so():
    with pytest.raises(InvalidParameters, match="none"):
        registry.parameters("pass-through", {"x": 1})


def test_parameters_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        registry.parameters("sleep", {}).seconds = 2
