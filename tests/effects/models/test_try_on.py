"""A tiny pipeline that the test builds goes all the way: installed, verified, painted with, and let go of."""

import json
import logging
import socket
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from skimage import data

from mayfly.effects import registry
from mayfly.effects.errors import InvalidParameters, UnknownModel, WeightsError
from mayfly.effects.library.fashion import garment_masks
from mayfly.effects.models import install, installed, try_on, weights
from mayfly.effects.runner import Runner
from mayfly.effects.vision import finder
from tests.effects import checkpoints, worn
from tests.effects.vision import pictures

CPU = torch.device("cpu")
SMALL = {"steps": 2, "guidance": 2.0}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return checkpoints.inpainting(tmp_path_factory.mktemp("pipeline") / "published")


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
    asked = []

    def refused(*given):
        asked.append(given)
        raise OSError("there is no network")

    for thing, name in ((socket.socket, "connect"), (socket.socket, "sendto"), (socket, "getaddrinfo")):
        monkeypatch.setattr(thing, name, refused)
    person = worn.astronaut()
    shown = dressed(person.picture)
    changed = (shown != person.picture).any(-1)
    assert changed[person.garment].mean() > 0.9
    for elsewhere in (person.skin, person.hair, person.background):
        assert changed[elsewhere].mean() < 0.02
    assert not changed[~touched(person.picture)].any()
    # The same seed paints the same, another one or another prompt does not.
    assert (dressed(person.picture) == shown).all()
    for other in ({"seed": 1}, {"prompt": "a blue shirt"}):
        assert (dressed(person.picture, **other) != shown)[person.garment].mean() > 0.3
    # Half of it is half of it.
    half = dressed(person.picture, strength=0.5).astype(int)
    assert abs(half - (shown.astype(int) + person.picture) / 2)[person.garment].max() <= 1.5
    assert not asked


def touched(picture):
    """Where the garment's soft mask is above 0."""
    frame = pictures.frame(picture).float() / 255
    finds = finder.Finder()
    pose = finds.pose(frame)
    face = garment_masks.wearer(pose, finds.faces(frame))
    found = garment_masks.find(frame, finds.person(frame), pose, face, parts=("upper",), whole=False, near={})
    return (found[0].alpha[0] > 0).numpy()


def test_the_old_clothes_do_not_shine_through(published, folder):
    """What is under the mask, its soft edge too, has no part in what is painted."""
    add(published, folder)
    model = try_on.get("tailor", CPU)
    torch.manual_seed(5)
    columns = torch.linspace(-1, 2, 96).clamp(0, 1)
    mask = (columns * columns.flip(0)).expand(1, 1, 96, 96) * 4
    mask = mask.clamp(0, 1)
    around = torch.rand(1, 3, 96, 96)
    results = []
    for cloth in (0.1, 0.9):
        picture = torch.where(mask > 0, torch.full_like(around, cloth), around)
        results.append(model(picture, mask, "a coat", steps=2, guidance=2.0, seed=0))
    assert torch.equal(*results)


def test_a_prompt_is_in_no_log(published, folder, capfd):
    add(published, folder)
    said = []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: said.append(record.getMessage())
    loggers = [logging.getLogger(name) for name in ("", "diffusers", "transformers")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        # Far more words than the model reads, which diffusers would warn of, quoting them.
        dressed(data.astronaut(), prompt="zebra " * 40)
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert not [line for line in said if "zebra" in line]
    assert "zebra" not in "".join(capfd.readouterr())


def test_weights_under_the_names_of_older_folders_are_the_same(published, copied, folder):
    path = copied / "text_encoder" / "model.safetensors"
    state = {f"text_model.{name.removeprefix('text_model.')}": value for name, value in load_file(path).items()}
    state["text_model.embeddings.position_ids"] = torch.arange(16)[None]
    save_file(state, path, {"format": "pt"})
    add(published, folder)
    add(copied, folder, name="older")
    picture = data.astronaut()
    assert (dressed(picture) == dressed(picture, model="older")).all()


def test_it_is_loaded_once_and_let_go_when_memory_is_wanted(published, folder):
    add(published, folder)
    first = try_on.get("tailor", CPU)
    assert try_on.get("tailor", CPU) is first
    assert installed.cache.release()
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


def test_without_the_extra_its_name_is_said(published, folder, monkeypatch):
    add(published, folder)
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(WeightsError, match=r"mayfly\[diffusion\]"):
        try_on.get("tailor", CPU)


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


def without(part, name):
    """Weights that lack one, which the libraries would fill with random numbers."""

    def damage(folder):
        path = folder / part / f"{name}.safetensors"
        state = load_file(path)
        del state[min(state)]
        save_file(state, path, {"format": "pt"})

    return damage


def leading_elsewhere(folder):
    (folder.parent / "secret.txt").write_text("of somebody else")
    (folder / "tokenizer" / "more.txt").symlink_to(folder.parent / "secret.txt")


def weights_elsewhere(folder):
    (folder / "unet").rename(folder.parent / "unet")
    (folder / "unet").symlink_to(folder.parent / "unet")


@pytest.mark.parametrize(
    "damage",
    [
        pickled,
        without("unet", "diffusion_pytorch_model"),
        without("vae", "diffusion_pytorch_model"),
        without("text_encoder", "model"),
        leading_elsewhere,
        weights_elsewhere,
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
