"""A child: an effect that cannot be set up does not keep it from the others."""

import subprocess
import sys

import pytest

from mayfly.effects import registry
from mayfly.effects.contract import Locality, Media
from mayfly.effects.errors import WeightsError
from mayfly.tasks.messages import queues
from mayfly.tasks.runtime import Runners
from mayfly.workers import child

SERVED = queues.all_queues()


class Some(Runners):
    """Effects that do nothing, but for some that cannot be set up."""

    def __init__(self, broken):
        super().__init__("cpu")
        self.broken, self.used = broken, []

    def get(self, name):
        if name in self.broken:
            raise self.broken[name]
        return lambda frames, params: self.used.append(name)


def on_servers():
    return {name for name, effect in registry.load().items() if effect.declaration.locality is Locality.SERVER}


def test_every_effect_of_its_queues_is_warmed():
    runners = Some({})
    child.warm(runners, SERVED)
    assert set(runners.used) == on_servers()
    declared = registry.declaration("anime")
    runners = Some({})
    child.warm(runners, [queues.effect_queue(declared.tag, Media.IMAGE)])
    assert "anime" in runners.used
    assert all(registry.declaration(name).tag is declared.tag for name in runners.used)


@pytest.mark.parametrize("error", [WeightsError("a file is missing"), ValueError("secret")])
def test_one_that_cannot_be_set_up_is_said_and_left_out(error, caplog):
    runners = Some({"anime": error})
    child.warm(runners, SERVED)
    assert set(runners.used) == on_servers() - {"anime"}
    (said,) = [record for record in caplog.records if record.name == "mayfly.workers.child"]
    assert said.getMessage().startswith("the effect anime cannot be warmed (")
    assert "secret" not in said.getMessage()
    assert said.exc_info is None


def test_a_child_that_can_do_nothing_at_all_must_not_boot():
    with pytest.raises(RuntimeError):
        child.warm(Some({name: RuntimeError("no device") for name in on_servers()}), SERVED)


def test_ingest_needs_no_effect():
    assert not child.serves_effects([queues.MEDIA, queues.MAINTENANCE])
    assert child.serves_effects([queues.MEDIA, "cpu.photo"])


FORKED = """
import os, signal, sys
from mayfly.workers import child
child.load()
import torch
assert not torch.cuda.is_initialized()
torch.set_num_threads(4)
if os.fork() == 0:
    signal.alarm(40)
    import skimage.data
    from mayfly.effects import registry
    from mayfly.effects.runner import Runner
    torch.nn.functional.conv2d(torch.ones(1, 8, 256, 256), torch.ones(8, 8, 3, 3)).sum()
    portrait = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1)[None]
    assert not Runner(registry.find("retouch")())(portrait, registry.parameters("retouch", {})).equal(portrait)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_what_a_service_loads_works_in_a_forked_child():
    # Where the service had used torch's threads, its child would wait for them for ever.
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=60)
