"""A tiny pipeline that the test builds goes all the way: installed, verified, painted with, and let go of."""

import json
import socket

import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data

from effects import registry, weights
from effects.errors import InvalidParameters, UnknownModel, WeightsError
from effects.networks import installed, try_on
from effects.runner import Runner
from effects.weights import install
from tests.effects import checkpoints
from tests.effects.ops import worn
from tests.effects.vision import pictures

CPU = torch.device("cpu")
SMALL = {"steps": 2, "guidance": 2.0}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield checkpoints.inpainting(tmp_path_factory.mktemp("pipeline") / "published")
    torch.set_num_threads(before)


@pytest.fixture
def folder(tmp_path):
    weights.use(tmp_path / "models")
    yield tmp_path / "models"
    weights.use(None)
    installed.shelf.release()


@pytest.fixture
def copied(published, tmp_path):
    """A copy of the published folder, to be damaged."""
    target = tmp_path / "copy"
    for path in published.rglob("*"):
        if path.is_file():
            (target / path.relative_to(published)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(published)).write_bytes(path.read_bytes())
    return target


def add(source, folder, name="tailor"):
    return install.add(source, folder, name=name, version="1", licence="openrail", origin="this test")


def dressed(picture, **given):
    params = registry.parameters("fashion", {"prompt": "a red knitted jumper", "model": "tailor"} | SMALL | given)
    return Runner(registry.find("fashion")())(pictures.frame(picture)[None], params)[0].permute(1, 2, 0).numpy()


def test_a_published_folder_becomes_one_verified_file(published, folder):
    entry = add(published, folder)
    assert entry.architecture == {"network": "inpaint", "purpose": "dress", "scale": 1}
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "tailor.safetensors"]
    assert weights.installed() == {"tailor": entry}
    install.verify("tailor", folder)
    found = load_file(folder / "tailor.safetensors")
    for name, tensor in load_file(published / "unet" / "diffusion_pytorch_model.safetensors").items():
        assert torch.equal(found[f"unet/{name}"], tensor)


def test_clothes_change_and_nothing_else_does(published, folder, monkeypatch):
    add(published, folder)

    def refused(*_):
        raise AssertionError("the pipeline asked the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    person = worn.astronaut()
    shown = dressed(person.picture)
    changed = (shown != person.picture).any(-1)
    assert changed[person.garment].mean() > 0.9
    for elsewhere in (person.skin, person.hair, person.background):
        assert changed[elsewhere].mean() < 0.02
    # The same seed paints the same, another one or another prompt does not.
    assert (dressed(person.picture) == shown).all()
    for other in ({"seed": 1}, {"prompt": "a blue shirt"}):
        assert (dressed(person.picture, **other) != shown)[person.garment].mean() > 0.3
    # Half of it is half of it.
    half = dressed(person.picture, strength=0.5).astype(int)
    assert abs(half - (shown.astype(int) + person.picture) / 2)[person.garment].max() <= 1.5


def test_it_is_loaded_once_and_let_go_when_memory_is_wanted(published, folder):
    add(published, folder)
    first = try_on.get("tailor", CPU)
    assert try_on.get("tailor", CPU) is first
    assert installed.shelf.release()
    assert try_on.get("tailor", CPU) is not first


def test_prompts_are_for_pictures_and_need_a_model(published, folder):
    for given, said in (
        ({"prompt": "a coat"}, "prompt and model go together"),
        ({"model": "tailor"}, "prompt and model go together"),
        ({"prompt": "x" * 301, "model": "tailor"}, "prompt: "),
    ):
        with pytest.raises(InvalidParameters, match=f"^{said}") as caught:
            registry.parameters("fashion", given)
        assert "coat" not in str(caught.value)
    params = registry.parameters("fashion", {"prompt": "a coat", "model": "tailor"})
    with pytest.raises(UnknownModel):
        Runner(registry.find("fashion")())(pictures.frame(data.astronaut())[None], params)
    with pytest.raises(InvalidParameters, match="video") as caught:
        Runner(registry.find("fashion")()).video(params)
    assert "coat" not in str(caught.value)


def test_a_model_of_another_kind_does_not_dress(tmp_path, folder):
    add(checkpoints.animegan(tmp_path / "published.pth"), folder)
    with pytest.raises(UnknownModel, match="something else"):
        try_on.get("tailor", CPU)


def test_what_was_changed_on_the_disk_is_not_loaded(published, folder):
    add(published, folder)
    path = folder / "tailor.safetensors"
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(WeightsError):
        try_on.get("tailor", CPU)
    with pytest.raises(WeightsError):
        install.verify("tailor", folder)


def pickled(folder):
    part = folder / "unet"
    torch.save(load_file(part / "diffusion_pytorch_model.safetensors"), part / "diffusion_pytorch_model.bin")
    (part / "diffusion_pytorch_model.safetensors").unlink()


def of_another_kind(folder):
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "StableDiffusionPipeline"}))


def with_code(folder):
    """The index names a class of its own, in a file beside it."""
    (folder / "evil.py").write_text("raise SystemExit('ran')\n")
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"unet": ["evil", "Evil"]}))


def narrower(folder):
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    state = load_file(path)
    save_file({name: tensor[:1].clone() for name, tensor in state.items()}, path)


@pytest.mark.parametrize(
    "damage",
    [
        pickled,
        of_another_kind,
        with_code,
        narrower,
        lambda folder: (folder / "model_index.json").unlink(),
        lambda folder: (folder / "model_index.json").write_text("[]"),
        lambda folder: (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"damaged"),
        lambda folder: (folder / "tokenizer" / "tokenizer.json").write_text("{"),
    ],
)
def test_what_is_no_pipeline_is_refused_and_changes_nothing(copied, folder, damage):
    damage(copied)
    with pytest.raises(WeightsError):
        add(copied, folder)
    assert not folder.exists() or not list(folder.iterdir())
