"""The networks' weights: safetensors files, and the manifest that every load is checked against.

What Mayfly ships lies beside this module. What the operator adds lies in a folder of its own, with a manifest of the
same form; `mayfly models` fills it, and an entry point names it to `use`.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic

from mayfly.effects.errors import UnknownModel, WeightsError

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = Path(__file__).parent
# What a parameter that names an installed model may look like.
NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"

_installed: Path | None = None


class Entry(pydantic.BaseModel):
    """What the manifest says about one file of weights.

    Attributes:
        name: what effects ask for; the file is `<name>.safetensors`.
        version: changes with the bytes.
        sha256: of the whole file, in hexadecimal.
        size: of the whole file, in bytes.
        licence: SPDX identifier of the weights' licence.
        source: how the weights came to be.
        architecture: the network's class and the arguments that build it.
    """

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: str = pydantic.Field(pattern=NAME)
    version: str
    sha256: str = pydantic.Field(pattern=r"^[0-9a-f]{64}$")
    size: pydantic.PositiveInt
    licence: str
    source: str
    architecture: dict[str, str | int]


_Manifest = pydantic.TypeAdapter(tuple[Entry, ...])


def use(folder: Path | None) -> None:
    """Name the folder of the models that the operator added; None for no such folder. For entry points."""
    global _installed
    _installed = folder


def installed() -> dict[str, Entry]:
    """Every model that the operator added, by name; none where there is no such folder. Raises WeightsError."""
    if _installed is None or not (_installed / "manifest.json").exists():
        return {}
    return manifest(_installed)


def model(name: str) -> tuple[Entry, Path]:
    """An installed model's entry and its folder. Raises UnknownModel, WeightsError."""
    found = installed().get(name)
    if found is None or _installed is None:
        raise UnknownModel("no model of this name is installed; `mayfly models list` names those that are")
    return found, _installed


def manifest(folder: Path = FOLDER) -> dict[str, Entry]:
    """Every entry by name. Raises WeightsError."""
    try:
        entries = _Manifest.validate_json((folder / "manifest.json").read_bytes())
    except (OSError, pydantic.ValidationError):
        raise WeightsError("the manifest of weights is missing or damaged; install mayfly again") from None
    return {entry.name: entry for entry in entries}


def entry(name: str, folder: Path = FOLDER) -> Entry:
    """One entry. Raises WeightsError."""
    try:
        return manifest(folder)[name]
    except KeyError:
        raise WeightsError(f"the manifest names no weights {name}; install mayfly again") from None


def load(name: str, folder: Path = FOLDER) -> dict[str, Tensor]:
    """Read weights and verify their size and SHA-256; arguments and errors as `load_with_texts`."""
    return load_with_texts(name, folder)[0]


def load_with_texts(name: str, folder: Path = FOLDER) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read weights, and the texts in their file's header, and verify their size and SHA-256.

    Args:
        name: as in the manifest.
        folder: where the manifest and the file lie.

    Returns:
        Tensors on the CPU by parameter name; texts by name, of a file that has any.

    Raises:
        WeightsError: not in the manifest, not there, or not the bytes that the manifest names.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as parse

    expected = entry(name, folder)
    try:
        data = (folder / f"{name}.safetensors").read_bytes()
    except OSError:
        raise WeightsError(f"the weights {name} cannot be read; install mayfly again") from None
    # Parsed from the very bytes that were verified: the file is not opened twice.
    if len(data) != expected.size or hashlib.sha256(data).hexdigest() != expected.sha256:
        raise WeightsError(f"the weights {name} are not what the manifest names; install mayfly again")
    try:
        return parse(data), _texts(data)
    except (SafetensorError, ValueError):
        raise WeightsError(f"the weights {name} are not in the safetensors format; install mayfly again") from None


def _texts(data: bytes) -> dict[str, str]:
    """What a safetensors file says beside its tensors: eight bytes of length, then a header in JSON."""
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    texts: dict[str, str] = header.get("__metadata__", {})
    return texts
