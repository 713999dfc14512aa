"""Finds this machine's GPUs without touching CUDA, which the parent of the workers must never do."""

from __future__ import annotations

import csv
import dataclasses
import os
import subprocess
from collections.abc import Mapping

from mayfly.effects.contract import Tag

MIB = 1024**2
MEMORY_STEPS = {Tag.GPU_8G: 7_500 * MIB, Tag.GPU_24G: 22_500 * MIB}
"""What a card must report to have a tag: a little less than its name, as cards do."""


@dataclasses.dataclass(frozen=True)
class Gpu:
    """One GPU; `memory` in bytes, `uuid` as CUDA_VISIBLE_DEVICES takes it."""

    index: int
    uuid: str
    name: str
    memory: int

    @property
    def tags(self) -> list[Tag]:
        """The tags of a worker on this GPU, the largest first: the scarce work is looked for first."""
        return [tag for tag, least in reversed(MEMORY_STEPS.items()) if self.memory >= least] + [Tag.GPU]


def find(environment: Mapping[str, str] = os.environ) -> list[Gpu]:
    """The GPUs of this machine that CUDA_VISIBLE_DEVICES leaves visible; none without NVIDIA's driver."""
    query = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        listing = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return visible(parse(listing), environment.get("CUDA_VISIBLE_DEVICES"))


def parse(listing: str) -> list[Gpu]:
    """Read nvidia-smi's lines: index, uuid, name, memory in MiB."""
    rows = csv.reader(listing.splitlines(), skipinitialspace=True)
    return [Gpu(int(row[0]), row[1], row[2], int(row[3]) * MIB) for row in rows if len(row) == 4 and row[3].isdigit()]


def visible(gpus: list[Gpu], chosen: str | None) -> list[Gpu]:
    """Those that a CUDA_VISIBLE_DEVICES names, by index or by the beginning of the uuid; all when it is not set."""
    if chosen is None:
        return gpus
    names = [name.strip() for name in chosen.split(",") if name.strip()]
    return [gpu for gpu in gpus if any(name == str(gpu.index) or gpu.uuid.startswith(name) for name in names)]
