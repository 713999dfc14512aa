"""Adds checkpoints that the operator has to a folder of models: converted, tried and entered in its manifest."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from mayfly.effects.errors import WeightsError
from mayfly.effects.models import pipelines, weights
from mayfly.effects.models.weights import Entry

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_PICKLES = {".pth", ".pt", ".ckpt"}
# A checkpoint is tried on pictures of this size; face models want theirs.
_TRIAL, _FACE_TRIAL, _DRESS_TRIAL = 48, 512, 64


def add(source: Path, folder: Path, *, name: str, version: str, licence: str, origin: str) -> Entry:
    """Convert a checkpoint to safetensors, run it once, and enter it in the folder's manifest.

    Args:
        source: a .safetensors file, a .pth that holds nothing but tensors, or a folder with an inpainting pipeline of
            diffusers in safetensors.
        folder: of the models; made where it is missing.
        name: what parameters call it.
        version: free text that changes with the bytes.
        licence: SPDX identifier or name of the checkpoint's licence.
        origin: where it comes from, for people.

    Raises:
        WeightsError: no such architecture, no such format, a name that is taken; nothing is changed then.
    """
    import torch
    from safetensors.torch import save

    if not re.fullmatch(weights.NAME, name):
        raise WeightsError("a model's name is of small letters, digits, dots, dashes and underscores; choose another")
    known = weights.manifest(folder) if (folder / "manifest.json").exists() else {}
    if name in known or name in weights.manifest():
        raise WeightsError("a model of this name is installed; choose another name")
    state, texts = pipelines.read(source) if source.is_dir() else (read(source), {})
    model = _built(state, texts, torch.device("cpu"))
    _try(model)
    data = save({key: value.detach().clone().contiguous() for key, value in state.items()}, texts or None)
    try:
        entry = Entry(
            name=name,
            version=version,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            licence=licence,
            source=origin,
            architecture={"network": model.network, "purpose": model.purpose, "scale": model.scale},
        )
    except pydantic.ValidationError:
        raise WeightsError("a model needs a version, a licence and a source; give all three") from None
    folder.mkdir(parents=True, exist_ok=True)
    place(folder, entry, data)
    # The manifest comes last: what it names is there.
    enter(folder, {**known, name: entry})
    return entry


def place(folder: Path, entry: Entry, data: bytes) -> None:
    """Write a model's file, whole or not at all."""
    _write(folder / f"{entry.name}.safetensors", data)


def enter(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Write a folder's manifest, whole or not at all."""
    listed = pydantic.TypeAdapter(list[Entry]).dump_json(list(entries.values()), indent=2)
    _write(folder / "manifest.json", listed + b"\n")


def read(source: Path) -> dict[str, Tensor]:
    """A checkpoint's tensors by name. Raises WeightsError.

    Pickles are read with torch's restricted unpickler, which runs no code of the file's.
    """
    import torch
    from safetensors.torch import load_file
    from spandrel import canonicalize_state_dict

    try:
        if source.suffix == ".safetensors":
            found: Any = load_file(source)
        elif source.suffix in _PICKLES:
            with warnings.catch_warnings():
                # Of pickles in another protocol than torch's; whether they are read is what counts.
                warnings.simplefilter("ignore")
                found = torch.load(source, map_location="cpu", weights_only=True)
        else:
            raise WeightsError("a checkpoint is a .safetensors or a .pth file; convert it to one of these")
    except OSError:
        raise WeightsError("the checkpoint cannot be read; check its path") from None
    except WeightsError:
        raise
    except Exception:  # noqa: BLE001 - a file that is no checkpoint makes readers raise anything
        raise WeightsError("the checkpoint is damaged, or holds more than tensors; get it again") from None
    if isinstance(found, Mapping) and isinstance(found.get("generator"), Mapping):
        found = found["generator"]
    tensors = canonicalize_state_dict(found) if isinstance(found, dict) else {}
    tensors = {str(key): value for key, value in tensors.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise WeightsError("there are no weights in this checkpoint; choose another file")
    return tensors


def verify(name: str, folder: Path) -> None:
    """Check a model's bytes against the manifest, and run it once. Raises WeightsError."""
    import torch

    from mayfly.effects.models import enhancer

    entry, (state, texts) = weights.entry(name, folder), weights.load_with_texts(name, folder)
    if entry.architecture.get("network") == "enhancer":
        enhancer.build(entry.architecture).load_state_dict(state)
        return
    _try(_built(state, texts, torch.device("cpu")))


def _built(state: Mapping[str, Tensor], texts: Mapping[str, str], device: torch.device) -> Any:
    """A model of what was read; a pipeline has an index among its texts."""
    if pipelines.INDEX in texts:
        from mayfly.effects.models import try_on

        return try_on.TryOn(state, texts, device)
    from mayfly.effects.models.installed import Model

    return Model(state, device)


def _try(model: Any) -> None:
    """Run a model on a small picture: the right size, finite, not the same colour everywhere."""
    import torch

    side = {"face": _FACE_TRIAL, "dress": _DRESS_TRIAL}.get(model.purpose, _TRIAL)
    ramp = torch.linspace(0, 1, side)
    picture = torch.stack([ramp.expand(side, side), ramp.expand(side, side).T, 1 - ramp.expand(side, side)])[None]
    try:
        result = model.tried(picture) if model.purpose == "dress" else model(picture)
    except Exception:  # noqa: BLE001 - a foreign network raises whatever it likes
        raise WeightsError("the model was read but does not run; choose another checkpoint") from None
    if result.shape != (1, 3, side * model.scale, side * model.scale) or not bool(result.isfinite().all()):
        raise WeightsError("the model runs but gives no picture of the expected size; choose another checkpoint")


def _write(target: Path, data: bytes) -> None:
    """All of it or nothing, on the disk when this returns."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp's files are for the owner alone; workers may be somebody else.
        part.chmod(0o644)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
