"""`mayfly models`: a published checkpoint is added, listed, verified and used; what is wrong has a code."""

import json
import os
import urllib.parse
import uuid

import minio.error
import numpy as np
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

from mayfly.cli.main import app
from mayfly.effects.models import weights
from mayfly.media import storage
from tests.effects import checkpoints


@pytest.fixture
def run(embedded, tmp_path, monkeypatch):
    """Run `mayfly` in this process; returns exit code, JSON lines of standard output, and standard error."""
    monkeypatch.setenv("MAYFLY_MODELS", str(tmp_path / "models"))

    def call(*arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})
        return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()], done.stderr

    yield call
    weights.use(None)


ABOUT = ("--licence", "BSD-3-Clause", "--source", "this test", "--json")


def test_add_list_verify_and_use(run, tmp_path):
    source = checkpoints.compact(tmp_path / "published.pth", scale=2)
    code, [added], _ = run("models", "add", source, "--name", "tiny", *ABOUT)
    assert code == 0
    assert added["architecture"] == {"network": "Compact", "purpose": "enlarge", "scale": 2}

    code, listed, _ = run("models", "list", "--json")
    assert code == 0
    assert [(line["name"], line["added"]) for line in listed][-1] == ("tiny", True)
    assert {"enhance-x1", "enhance-x2"} <= {line["name"] for line in listed if not line["added"]}
    assert all(line["sha256"] and line["size"] and line["licence"] and line["source"] for line in listed)
    assert "tiny" in run("models", "list")[2]

    code, checked, _ = run("models", "verify", "--json")
    assert code == 0
    assert all(line["good"] for line in checked) and "tiny" in {line["name"] for line in checked}

    picture, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)).save(picture)
    code, _, _ = run("apply", "enhance", picture, target, "-p", "model=tiny")
    assert code == 0
    with Image.open(target) as result:
        assert result.size == (80, 60)


def test_an_animegan_generator_draws(run, tmp_path):
    source = checkpoints.animegan(tmp_path / "published.pth")
    assert run("models", "add", source, "--name", "paprika", *ABOUT)[0] == 0
    picture, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (45, 70, 3), np.uint8)).save(picture)
    assert run("apply", "anime", picture, target, "-p", "model=paprika")[0] == 0
    with Image.open(target) as result:
        assert result.size == (70, 45)
    # The same name where another kind is wanted.
    code, _, people = run("apply", "enhance", picture, target, "-p", "model=paprika")
    assert code == 2
    assert "unknown_model" in people


def test_a_folder_with_a_pipeline_dresses_by_a_prompt(run, clip, tmp_path):
    source = checkpoints.inpainting(tmp_path / "published")
    code, [added], _ = run("models", "add", source, "--name", "tailor", *ABOUT)
    assert code == 0
    assert added["architecture"]["purpose"] == "dress"
    assert "dress" in run("models", "list")[2]
    assert run("models", "verify")[0] == 0

    picture, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(data.astronaut()).save(picture)
    words = ("-p", "prompt=a zebra coat", "-p", "model=tailor", "-p", "steps=1")
    code, _, people = run("apply", "fashion", picture, target, *words)
    assert code == 0 and "zebra" not in people
    with Image.open(target) as result:
        assert (np.array(result) != data.astronaut()).any(-1).mean() > 0.1
    # Where the prompt is not for, it is refused, and not repeated.
    code, _, people = run("apply", "fashion", clip, tmp_path / "out.mp4", *words)
    assert code == 2
    assert "invalid_parameters" in people and "zebra" not in people


def test_verify_tells_what_was_changed(run, tmp_path):
    run("models", "add", checkpoints.compact(tmp_path / "published.pth"), "--name", "tiny", *ABOUT)
    path = tmp_path / "models" / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    code, checked, people = run("models", "verify", "--json")
    assert code == 1
    assert [line["name"] for line in checked if not line["good"]] == ["tiny"]
    assert "not what the manifest names" in people


def test_what_is_no_checkpoint_is_refused(run, tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    code, lines, people = run("models", "add", tmp_path / "text.pth", "--name", "tiny", *ABOUT)
    assert (code, lines) == (2, [])
    assert "bad_weights" in people
    assert run("models", "list", "--json")[1][-1]["added"] is False


def test_sharing_needs_a_bucket_and_fills_it(run, tmp_path, monkeypatch):
    source = checkpoints.compact(tmp_path / "published.pth")
    code, _, people = run("models", "add", source, "--name", "tiny", "--share", *ABOUT)
    assert code == 2
    assert "MAYFLY_MODELS_URL" in people
    monkeypatch.setenv("MAYFLY_MODELS_URL", f"file://{tmp_path / 'bucket'}")
    assert run("models", "add", source, "--name", "tiny", "--share", *ABOUT)[0] == 0
    from mayfly.media import storage
    from mayfly.tasks import models

    assert models.fetch(storage.connect(f"file://{tmp_path / 'bucket'}"), tmp_path / "there") == ["tiny"]


def test_a_home_that_is_made_for_models_is_private(run, embedded, tmp_path, monkeypatch):
    monkeypatch.delenv("MAYFLY_MODELS")
    before = os.umask(0o022)
    try:
        source = checkpoints.compact(tmp_path / "published.pth")
        assert run("models", "add", source, "--name", "tiny", *ABOUT)[0] == 0
    finally:
        os.umask(before)
    assert embedded.home.stat().st_mode & 0o077 == 0
    assert (embedded.home / "models" / "tiny.safetensors").exists()


def test_shared_models_have_no_term(run, servers, tmp_path, monkeypatch):
    url = urllib.parse.urlsplit(servers["MAYFLY_STORAGE_URL"])._replace(path=f"/test-{uuid.uuid4().hex[:12]}").geturl()
    monkeypatch.setenv("MAYFLY_MODELS_URL", url)
    store = storage.connect(url, role=storage.Role.MODELS)
    source = checkpoints.compact(tmp_path / "published.pth")
    try:
        assert run("models", "add", source, "--name", "tiny", "--share", *ABOUT)[0] == 0
        with pytest.raises(minio.error.S3Error, match="NoSuchLifecycleConfiguration"):
            store.client.ask("GET", store.bucket, "lifecycle")
        assert len(list(store.objects("models/"))) == 2
    finally:
        for found in list(store.objects()):
            store.destroy(found.key)
        store.client.remove_bucket(store.bucket)


def test_an_unknown_model_is_named_by_its_code(run, tmp_path, photo):
    code, _, people = run("apply", "enhance", photo, tmp_path / "out.png", "-p", "model=absent")
    assert code == 2
    assert "unknown_model" in people and "absent" not in people
