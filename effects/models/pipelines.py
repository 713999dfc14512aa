"""Folders of diffusers' inpainting pipelines as one safetensors file, so that one SHA-256 covers all that is read.

Tensors are named `<part>/<name>`; configurations and vocabularies are texts in the file's header, by their paths.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from mayfly.effects.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

INDEX = "model_index.json"
KIND = "StableDiffusionInpaintPipeline"
# Parts with weights, and the names that their files have; parts of texts alone.
WEIGHTS = {
    "unet": "diffusion_pytorch_model",
    "vae": "diffusion_pytorch_model",
    "text_encoder": "model",
}
_TEXTS = ("tokenizer", "scheduler")
# A pipeline's index may name any class of any module: these are let in.
_CLASSES = {
    "unet": r"diffusers\.UNet2DConditionModel",
    "vae": r"diffusers\.AutoencoderKL",
    "text_encoder": r"transformers\.CLIPTextModel",
    "tokenizer": r"transformers\.CLIPTokenizer(Fast)?",
    "scheduler": r"diffusers\.[A-Za-z0-9]+Scheduler",
}
_LONGEST_TEXT = 8 * 1024**2


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A published folder's tensors and texts. Raises WeightsError; pickles and code in it are left where they are."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    state: dict[str, Tensor] = {}
    texts: dict[str, str] = {}
    try:
        index = json.loads(_own(folder, folder / INDEX).read_text())
        if index.get("_class_name") != KIND:
            raise WeightsError(f"this pipeline is another one than {KIND}; choose one that inpaints")
        # What else a pipeline may have, such as a safety checker, is not installed.
        kept = {part: list(index[part]) for part in (*WEIGHTS, *_TEXTS)}
        if any(not re.fullmatch(_CLASSES[part], ".".join(map(str, names))) for part, names in kept.items()):
            raise WeightsError("this pipeline is made of other parts than Stable Diffusion's; choose another one")
        facts = {"_class_name": KIND, "_diffusers_version": str(index.get("_diffusers_version", "0.6.0"))}
        texts[INDEX] = json.dumps(facts | {"requires_safety_checker": False} | kept)
        for part in kept:
            for path in sorted((folder / part).glob("*")):
                if path.suffix in (".json", ".txt") and _own(folder, path).stat().st_size <= _LONGEST_TEXT:
                    texts[f"{part}/{path.name}"] = path.read_text()
        for part, stem in WEIGHTS.items():
            for path in _weights(folder / part, stem):
                state |= {f"{part}/{name}": tensor for name, tensor in load_file(_own(folder, path)).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError):
        raise WeightsError(
            "this folder is no inpainting pipeline, or damaged: it needs model_index.json, unet, vae, text_encoder, "
            "tokenizer and scheduler"
        ) from None
    # The tensors lie in one file now, whatever they lay in.
    return state, {name: text for name, text in texts.items() if not name.endswith(".index.json")}


def write(folder: Path, state: Mapping[str, Tensor], texts: Mapping[str, str]) -> None:
    """Lay a pipeline out as diffusers reads it. Raises WeightsError."""
    from safetensors.torch import save_file

    parts: dict[str, dict[str, Tensor]] = {part: {} for part in WEIGHTS}
    for name, tensor in state.items():
        part, _, rest = name.partition("/")
        if part not in parts:
            raise WeightsError("the pipeline holds weights of an unknown part; add it again")
        parts[part][rest] = tensor
    for part in (*WEIGHTS, *_TEXTS):
        (folder / part).mkdir()
    for name, text in texts.items():
        part, _, rest = name.rpartition("/")
        if name != INDEX and (part not in (*WEIGHTS, *_TEXTS) or rest != Path(rest).name):
            raise WeightsError("the pipeline holds texts of an unknown part; add it again")
        (folder / name).write_text(text)
    for part, stem in WEIGHTS.items():
        save_file(parts[part], folder / part / f"{stem}.safetensors", {"format": "pt"})


def _own(folder: Path, path: Path) -> Path:
    """A path that leads nowhere else: a folder from elsewhere must not take other files of this machine along."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise WeightsError("a file in this folder is a link to another place; add a copy made with `cp -rL`")
    return path


def _weights(folder: Path, stem: str) -> list[Path]:
    """A part's files: whole, of half precision, or in pieces."""
    for names in (f"{stem}.safetensors", f"{stem}.fp16.safetensors", f"{stem}-*-of-*.safetensors"):
        found = sorted(folder.glob(names))
        if found:
            return found
    raise WeightsError("this folder has no safetensors weights; get the pipeline in that format")
