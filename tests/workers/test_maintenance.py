"""The process of maintenance is light: whatever it loads, it loads no torch and nothing that decodes media."""

import json
import subprocess
import sys

import pytest

from mayfly.media.errors import StorageUnavailable
from mayfly.tasks import runtime
from mayfly.workers import maintenance, opening

HEAVY = {"torch", "torchvision", "numpy", "PIL", "cv2", "mediapipe", "safetensors", "skimage", "ffmpeg", "spandrel"}
# Of ours: what decodes, and what runs decoders.
OURS = {
    "mayfly.media.image.codec",
    "mayfly.media.video.coders",
    "mayfly.media.video.probe",
    "mayfly.media.video.video",
    "mayfly.media.video.ffmpeg",
    "mayfly.media.children.process",
    "mayfly.media.video.segments",
}
ALSO = {
    "mayfly.client.client",
    "mayfly.tasks.stages.effect",
    "mayfly.tasks.stages.ingest",
    "mayfly.tasks.stages.join",
    "mayfly.tasks.stages.video",
    "mayfly.tasks.attempts.attempt",
    "mayfly.effects.runner",
}

SCRIPT = """
import json, sys, threading
from mayfly.settings import Settings
from mayfly.tasks.rounds import Rounds
from mayfly.workers import maintenance

settings = Settings()
maintenance.learn_effects(settings)
app = maintenance.application(settings)
rt = maintenance.opened(settings, app)
done = threading.Event()
rounds = Rounds(rt)
rounds.start()
app.loader.import_default_modules()
# A job of every stage goes through the outbox and the purge.
from mayfly.db import jobs
from mayfly.tasks import maintenance as periodic
from mayfly.tasks.messages import outbox
from mayfly.purge import sweeper
import mayfly.media.storage.s3
outbox.resend(rt)
sweeper.sweep(rt.engine, rt.store)
rounds.stop(30)
from mayfly.effects import registry
registry.load(settings.effect_modules)
print(json.dumps([sorted(sys.modules), sorted(name for name in app.tasks if not name.startswith("celery."))]))
"""


def test_it_loads_no_torch_and_no_decoder(embedded):
    ran = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True)
    modules, tasks = json.loads(ran.stdout)
    found = set(modules)
    assert "mayfly.tasks.maintenance" in found
    assert not {name.partition(".")[0] for name in found} & HEAVY
    assert not found & (OURS | ALSO)
    assert tasks == ["jobs.bury", "jobs.resend", "purge.forget", "purge.sweep"]


def test_an_effect_that_cannot_be_loaded_is_left_out(embedded, tmp_path, monkeypatch, caplog):
    (tmp_path / "broken_effects.py").write_text("raise ValueError('a secret of its author')")
    (tmp_path / "sound_effects.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = embedded.model_copy(update={"effect_modules": ("broken_effects", "sound_effects")})
    maintenance.learn_effects(settings)
    assert "sound_effects" in sys.modules
    assert "ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_it_fetches_no_models(embedded, monkeypatch):
    monkeypatch.setattr(runtime, "_current", None)
    monkeypatch.setattr(runtime.models, "use", lambda _: pytest.fail("models are no business of maintenance"))
    maintenance.opened(embedded, maintenance.application(embedded)).close()


def test_it_opens_when_the_store_is_back(embedded, monkeypatch, caplog):
    start, calls = runtime.start, []

    def away(*arguments, **options):
        calls.append(1)
        if len(calls) < 3:
            raise StorageUnavailable("away")
        return start(*arguments, **options)

    monkeypatch.setattr(runtime, "_current", None)
    monkeypatch.setattr(runtime, "start", away)
    monkeypatch.setattr(opening, "FIRST_SECONDS", 0.01)
    maintenance.opened(embedded, maintenance.application(embedded)).close()
    said = [record.getMessage() for record in caplog.records if record.name == "mayfly.workers.maintenance"]
    assert said == [f"{StorageUnavailable.code}; maintenance begins once it is back"]


@pytest.mark.parametrize("ended", [SystemExit(1), ConnectionRefusedError("guest@a-host")])
def test_messages_that_cannot_be_had_end_nothing_but_their_taking(embedded, monkeypatch, caplog, ended):
    def fail(_):
        raise ended

    app = maintenance.application(embedded)
    monkeypatch.setattr(app, "worker_main", fail)
    maintenance.consume(app, "maintenance-x@%h")
    assert "a-host" not in caplog.text


@pytest.fixture(autouse=True)
def _forget():
    yield
    sys.modules.pop("sound_effects", None)
