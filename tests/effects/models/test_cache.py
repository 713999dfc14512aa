"""The cache of models: loaded when wanted, and let go of when idle, when there is no room, when memory is wanted."""

import threading
import weakref

import pytest
import torch

from mayfly.effects.contract import Declaration, Effect, Parameters
from mayfly.effects.models import cache as caches
from mayfly.effects.models.cache import ModelCache
from mayfly.effects.runner import Runner


@pytest.fixture
def clock():
    class Clock:
        now = 0.0

        def __call__(self):
            return self.now

    return Clock()


class Weights:
    """Can be pointed to weakly."""


def loader(log, name, size=1):
    def load():
        log.append(name)
        return f"model {name}", size

    return load


def test_a_model_is_loaded_once(clock):
    cache, log = ModelCache(clock=clock), []
    assert [cache.take("a", loader(log, "a")) for _ in range(3)] == ["model a"] * 3
    assert log == ["a"]


def test_the_least_recently_used_makes_room(clock):
    cache, log = ModelCache(most_bytes=3, clock=clock), []
    for name in ("a", "b", "c", "a", "d"):
        clock.now += 1
        cache.take(name, loader(log, name))
    assert "b" not in cache
    assert all(name in cache for name in "acd")
    assert log == ["a", "b", "c", "d"]


def test_one_that_is_larger_than_the_room_is_given_all_the_same(clock):
    cache, log = ModelCache(most_bytes=3, clock=clock), []
    cache.take("a", loader(log, "a"))
    assert cache.take("large", loader(log, "large", 10)) == "model large"
    assert len(cache) == 1


def test_what_nobody_took_for_long_goes(clock):
    cache, log = ModelCache(idle=60, clock=clock), []
    cache.take("a", loader(log, "a"))
    clock.now = 40
    cache.take("b", loader(log, "b"))
    clock.now = 70
    cache.tidy()
    assert "a" not in cache and "b" in cache


def test_what_is_taken_again_and_again_stays(clock):
    cache, log = ModelCache(idle=60, clock=clock), []
    for _ in range(4):
        cache.take("a", loader(log, "a"))
        clock.now += 40
    assert log == ["a"]


def test_what_nobody_took_for_long_goes_before_more_is_loaded(clock):
    cache, held = ModelCache(idle=60, clock=clock), [Weights()]
    gone = weakref.ref(held[0])
    cache.take("a", lambda: (held.pop(), 1))
    clock.now = 61
    cache.take("b", lambda: (gone(), 1))
    assert cache.take("b", loader([], "b")) is None


def test_it_goes_by_itself():
    gone = threading.Event()

    class Model:
        def __del__(self):
            gone.set()

    ModelCache(idle=0.05).take("a", lambda: (Model(), 1))
    assert gone.wait(20)


def test_release_lets_go_of_all(clock):
    cache, log = ModelCache(clock=clock), []
    assert not cache.release()
    cache.take("a", loader(log, "a"))
    assert cache.release()
    assert len(cache) == 0


def test_release_tells_of_what_was_kept_for_too_long_as_well(clock):
    cache = ModelCache(idle=60, clock=clock)
    cache.take("a", loader([], "a"))
    clock.now = 61
    assert cache.release()


def test_a_load_that_fails_leaves_nothing(clock):
    cache = ModelCache(clock=clock)

    def broken():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        cache.take("a", broken)
    assert len(cache) == 0


class Nothing(Parameters):
    pass


class Hungry(Effect[Nothing]):
    """Finds no memory while the cache holds anything."""

    declaration = Declaration(name="hungry", summary="for a test", parameters=Nothing, dtype="uint8")

    def apply(self, frames, params):
        if len(caches.cache):
            raise torch.OutOfMemoryError
        return 255 - frames


def test_models_are_unloaded_when_an_effect_lacks_memory():
    caches.cache.take("large", lambda: ("model", 1))
    given = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    assert torch.equal(Runner(Hungry())(given, Nothing()), 255 - given)
    assert len(caches.cache) == 0
