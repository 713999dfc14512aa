"""Copies trained weights of `enhance` into the package and writes their manifest."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path

from mayfly.effects.models import weights
from scripts.train import pictures
from scripts.train.enhance import SIZES

TASKS = {1: "removes noise and JPEG damage", 2: "enlarges by two"}


def entry(scale: int, folder: Path, version: str) -> dict[str, object]:
    """The manifest's entry for the weights of one network in `folder`."""
    name = f"enhance-x{scale}"
    data = (folder / f"{name}.safetensors").read_bytes()
    record = json.loads((folder / f"{name}.json").read_text())
    start = f" from weights {record['start'][:12]}" if record["start"] else ""
    return {
        "name": name,
        "version": version,
        "sha256": hashlib.sha256(data).hexdigest(),
        "size": len(data),
        "licence": "Apache-2.0",
        "source": (
            f"{TASKS[scale]}; scripts/train/enhance.py, seed {record['seed']}, {record['steps']} steps{start}, "
            f"on {', '.join(pictures.NAMES)} and synthetic pictures; docs/enhance-training.md names their licences"
        ),
        "architecture": {"network": "enhancer", "scale": scale, "width": SIZES[scale][0], "blocks": SIZES[scale][1]},
    }


def main() -> None:
    """Read the command line and publish the networks that are there; the others stay as they are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where scripts/train/enhance.py wrote its weights")
    parser.add_argument("--version", required=True)
    given = parser.parse_args()
    entries = {name: known.model_dump() for name, known in weights.manifest().items()}
    for scale in TASKS:
        name = f"enhance-x{scale}"
        if (given.folder / f"{name}.safetensors").exists():
            entries[name] = entry(scale, given.folder, given.version)
            shutil.copyfile(given.folder / f"{name}.safetensors", weights.FOLDER / f"{name}.safetensors")
    (weights.FOLDER / "manifest.json").write_text(json.dumps(list(entries.values()), indent=2) + "\n")


if __name__ == "__main__":
    main()
