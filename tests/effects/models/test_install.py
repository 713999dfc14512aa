"""Published checkpoints become installed models; anything else is refused and changes nothing."""

import json
import pickle

import pytest
import torch
from safetensors.torch import load_file, save_file

from mayfly.effects.errors import UnknownModel, WeightsError
from mayfly.effects.models import install, installed, weights
from tests.effects import checkpoints

CPU = torch.device("cpu")


def add(source, folder, name="tiny", **changes):
    given = {"version": "1", "licence": "BSD-3-Clause", "origin": "this test"} | changes
    return install.add(source, folder, name=name, **given)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (checkpoints.compact, {"network": "Compact", "purpose": "enlarge", "scale": 2}),
        (checkpoints.esrgan, {"network": "ESRGAN", "purpose": "enlarge", "scale": 4}),
        (checkpoints.animegan, {"network": "animegan", "purpose": "draw", "scale": 1}),
    ],
)
def test_a_published_checkpoint_becomes_a_model(tmp_path, folder, make, expected):
    entry = add(make(tmp_path / "published.pth"), folder)
    assert entry.architecture == expected
    assert weights.installed() == {"tiny": entry}
    model = installed.get("tiny", CPU, expected["purpose"])
    given = torch.rand(2, 3, 40, 36, generator=torch.Generator().manual_seed(0))
    result = model(given)
    assert result.shape == (2, 3, 40 * expected["scale"], 36 * expected["scale"])
    assert result.min() >= 0 and result.max() <= 1
    torch.testing.assert_close(result[1:], model(given[1:]))
    install.verify("tiny", folder)


def test_the_converted_weights_are_the_checkpoints(tmp_path, folder):
    source = checkpoints.animegan(tmp_path / "published.pth")
    add(source, folder)
    torch.testing.assert_close(load_file(folder / "tiny.safetensors"), dict(torch.load(source, weights_only=True)))
    assert {path.suffix for path in folder.iterdir()} == {".json", ".safetensors"}


def test_a_safetensors_file_is_taken_as_well(tmp_path, folder):
    state = torch.load(checkpoints.compact(tmp_path / "published.pth"), weights_only=True)["params"]
    save_file(state, tmp_path / "published.safetensors")
    assert add(tmp_path / "published.safetensors", folder).architecture["network"] == "Compact"


def test_a_pickle_that_would_run_code_is_refused(tmp_path, folder):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    with (tmp_path / "evil.pth").open("wb") as stream:
        pickle.dump({"weight": Evil()}, stream)
    with pytest.raises(WeightsError, match="more than tensors"):
        add(tmp_path / "evil.pth", folder)
    assert not (tmp_path / "ran").exists()
    assert not folder.exists()


def test_weights_of_no_known_network_are_refused(tmp_path, folder):
    torch.save({"a.weight": torch.zeros(3, 3)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no network with these weights"):
        add(tmp_path / "other.pth", folder)
    assert not folder.exists()


def test_an_animegan_with_a_tensor_missing_is_refused(tmp_path, folder):
    state = torch.load(checkpoints.animegan(tmp_path / "published.pth"), weights_only=True)
    state.pop("block_d.0.1.weight")
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match="AnimeGAN"):
        add(tmp_path / "cut.pth", folder)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint at all"])
@pytest.mark.parametrize("name", ["broken.pth", "broken.safetensors", "broken.txt", "absent.pth"])
def test_a_damaged_file_is_refused(tmp_path, folder, name, content):
    if not name.startswith("absent"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError):
        add(tmp_path / name, folder)


def test_names_are_safe_and_taken_once(tmp_path, folder):
    source = checkpoints.compact(tmp_path / "published.pth")
    for bad in ("../tiny", "Tiny", "", ".tiny", "a/b", "enhance-x2"):
        with pytest.raises(WeightsError, match="name"):
            add(source, folder, name=bad)
    add(source, folder)
    with pytest.raises(WeightsError, match="another name"):
        add(source, folder)


def test_a_changed_file_is_not_loaded(tmp_path, folder):
    add(checkpoints.compact(tmp_path / "published.pth"), folder)
    path = folder / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(WeightsError, match="not what the manifest names"):
        installed.get("tiny", CPU, "enlarge")
    with pytest.raises(WeightsError, match="not what the manifest names"):
        install.verify("tiny", folder)


def test_a_manifest_that_says_another_scale_is_refused(tmp_path, folder):
    add(checkpoints.compact(tmp_path / "published.pth"), folder, version="other")
    manifest = folder / "manifest.json"
    entries = json.loads(manifest.read_text())
    entries[0]["architecture"]["scale"] = 3
    manifest.write_text(json.dumps(entries))
    with pytest.raises(WeightsError, match="scale"):
        installed.get("tiny", CPU, "enlarge")


def test_a_model_is_given_for_its_purpose_alone(tmp_path, folder):
    add(checkpoints.animegan(tmp_path / "published.pth"), folder)
    with pytest.raises(UnknownModel, match="something else"):
        installed.get("tiny", CPU, "enlarge", "restore")
    with pytest.raises(UnknownModel, match="no model of this name"):
        installed.get("absent", CPU, "draw")


def test_without_a_folder_there_are_no_models():
    assert weights.installed() == {}
    with pytest.raises(UnknownModel):
        weights.model("tiny")
