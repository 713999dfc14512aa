import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from mayfly.effects.errors import WeightsError
from mayfly.effects.models import pipelines

PARTS = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}
OTHERS = {
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "scheduler": ["diffusers", "PNDMScheduler"],
}


@pytest.fixture
def published(tmp_path):
    """A folder as it is published: one part of half precision, one in pieces, and files that nobody asked for."""
    folder = tmp_path / "published"
    for part in (*PARTS, *OTHERS):
        (folder / part).mkdir(parents=True)
        (folder / part / "config.json").write_text(json.dumps({"part": part}))
    index = {"_class_name": pipelines.KIND, "_diffusers_version": "0.8.0", "safety_checker": ["evil", "Evil"]}
    index |= OTHERS | {part: ["diffusers", kind] for part, kind in PARTS.items()}
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "tokenizer" / "merges.txt").write_text("a b\n")
    (folder / "unet" / "code.py").write_text("raise SystemExit\n")
    save_file({"a": torch.ones(2, dtype=torch.float16)}, folder / "unet" / "diffusion_pytorch_model.fp16.safetensors")
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"pickle")
    save_file({"b": torch.full((3,), 2.0)}, folder / "vae" / "diffusion_pytorch_model.safetensors")
    for number in (1, 2):
        name = f"model-0000{number}-of-00002.safetensors"
        save_file({f"c{number}": torch.full((1,), float(number))}, folder / "text_encoder" / name)
    (folder / "text_encoder" / "model.safetensors.index.json").write_text("{}")
    return folder


def test_what_is_read_is_written_as_it_was(published, tmp_path):
    state, texts = pipelines.read(published)
    assert {name: tensor.tolist() for name, tensor in state.items()} == {
        "unet/a": [1, 1],
        "vae/b": [2, 2, 2],
        "text_encoder/c1": [1],
        "text_encoder/c2": [2],
    }
    assert sorted(texts) == sorted(
        [*(f"{part}/config.json" for part in (*PARTS, *OTHERS)), "model_index.json", "tokenizer/merges.txt"]
    )
    assert "evil" not in texts["model_index.json"]
    target = tmp_path / "written"
    target.mkdir()
    pipelines.write(target, state, texts)
    files = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    weights = {"unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"}
    assert files == set(texts) | {f"{name}.safetensors" for name in weights}
    assert load_file(target / "unet" / "diffusion_pytorch_model.safetensors")["a"].dtype == torch.float16


@pytest.mark.parametrize("name", ["../evil.json", "evil/config.json", "unet/../../evil.json", "unet/sub/config.json"])
def test_texts_are_written_nowhere_else(published, tmp_path, name):
    state, texts = pipelines.read(published)
    target = tmp_path / "in" / "written"
    target.mkdir(parents=True)
    with pytest.raises(WeightsError):
        pipelines.write(target, state, texts | {name: "{}"})
    assert not list(tmp_path.glob("**/evil*"))


@pytest.mark.parametrize(
    ("part", "kind"),
    [("unet", ["evil", "Evil"]), ("vae", ["diffusers", "AsymmetricAutoencoderKL"]), ("scheduler", ["os", "Scheduler"])],
)
def test_other_classes_are_refused(published, part, kind):
    index = json.loads((published / "model_index.json").read_text())
    (published / "model_index.json").write_text(json.dumps(index | {part: kind}))
    with pytest.raises(WeightsError, match="other parts"):
        pipelines.read(published)
