"""Every shipped file is what the manifest names; anything else is refused."""

import hashlib
import json

import pytest
import torch
from safetensors.torch import save

from mayfly.effects.errors import WeightsError
from mayfly.effects.models import weights


def write(folder, data, **changes):
    entry = {
        "name": "tiny",
        "version": "1",
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "licence": "CC0-1.0",
        "source": "this test",
        "architecture": {"network": "tiny"},
    }
    (folder / "manifest.json").write_text(json.dumps([entry | changes]))
    (folder / "tiny.safetensors").write_bytes(data)


@pytest.mark.parametrize("name", weights.manifest())
def test_shipped_weights_are_what_the_manifest_names(name):
    entry = weights.entry(name)
    assert all(value.isfinite().all() for value in weights.load(name).values())
    assert all([entry.version, entry.licence, entry.source, entry.architecture])


def test_the_manifest_names_every_shipped_file():
    assert {path.stem for path in weights.FOLDER.glob("*.safetensors")} == set(weights.manifest())


def test_loads_what_was_saved(tmp_path):
    expected = {"a": torch.arange(6.0).reshape(2, 3)}
    write(tmp_path, save(expected))
    torch.testing.assert_close(weights.load("tiny", tmp_path), expected)


def test_one_changed_byte_is_refused(tmp_path):
    data = save({"a": torch.zeros(4)})
    write(tmp_path, data)
    (tmp_path / "tiny.safetensors").write_bytes(data[:-1] + b"\x01")
    with pytest.raises(WeightsError, match="not what the manifest names"):
        weights.load("tiny", tmp_path)


def test_another_size_is_refused(tmp_path):
    data = save({"a": torch.zeros(4)})
    write(tmp_path, data, size=len(data) + 1)
    with pytest.raises(WeightsError, match="not what the manifest names"):
        weights.load("tiny", tmp_path)


def test_another_format_is_refused_even_where_the_hash_agrees(tmp_path):
    write(tmp_path, b"\x80\x04 a pickle would run code")
    with pytest.raises(WeightsError, match="safetensors format"):
        weights.load("tiny", tmp_path)


def test_a_missing_file_is_refused(tmp_path):
    write(tmp_path, save({"a": torch.zeros(4)}))
    (tmp_path / "tiny.safetensors").unlink()
    with pytest.raises(WeightsError, match="cannot be read"):
        weights.load("tiny", tmp_path)


def test_an_unknown_name_is_refused(tmp_path):
    write(tmp_path, save({"a": torch.zeros(4)}))
    with pytest.raises(WeightsError, match="names no weights"):
        weights.load("other", tmp_path)


@pytest.mark.parametrize("changes", [{"sha256": "0"}, {"size": 0}, {"name": "../tiny"}, {"further": 1}])
def test_a_damaged_manifest_is_refused(tmp_path, changes):
    write(tmp_path, save({"a": torch.zeros(4)}), **changes)
    with pytest.raises(WeightsError, match="manifest"):
        weights.load("tiny", tmp_path)


def test_a_missing_manifest_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="manifest"):
        weights.load("tiny", tmp_path)
