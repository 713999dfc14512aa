"""What it costs to decode a photo in the confined child instead of in this process."""

from __future__ import annotations

import importlib.resources
import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from mayfly.media import sniff
from mayfly.media.image import codec, photos, pixels
from mayfly.media.limits import Limits

SIDE = 1000  # pixels: 1 MP
ROUNDS = 40
PAUSE_SECONDS = 0.05  # between two pictures a job has more to do than to decode
LIMITS = Limits()


def main() -> dict[str, float]:
    """Milliseconds for a JPEG of 1 MP, from its bytes to a tensor, in turn in this process and in the child."""
    data = _jpeg()
    codec.decode(data, LIMITS)
    here: list[float] = []
    child: list[float] = []
    at_once: list[float] = []
    for _ in range(ROUNDS):
        here.append(_milliseconds(lambda: _in_process(data)))
        child.append(_milliseconds(lambda: codec.decode(data, LIMITS)))
    for _ in range(ROUNDS):
        at_once.append(_milliseconds(lambda: codec.decode(data, LIMITS), pause=0))
    first = photos.PhotoDecoder()
    started = time.perf_counter()
    first.decode(data, sniff.JPEG, LIMITS)
    start = time.perf_counter() - started
    first.close()
    return {
        "in this process, ms": statistics.median(here),
        "in the confined child, ms": statistics.median(child),
        "more in the child, ms (at most 15)": statistics.median(child) - statistics.median(here),
        "more in the child, the quickest of each, ms": min(child) - min(here),
        "in the child, one after the other without a pause, ms": statistics.median(at_once),
        "the first picture, with the child's start, ms": 1000 * start,
    }


def _in_process(data: bytes) -> torch.Tensor:
    found = pixels.decode(data, "JPEG", LIMITS)
    planes = torch.empty((found.count, found.height, found.width), dtype=torch.uint8)
    for plane, content in zip(planes.view(found.count, -1).numpy(), found.planes, strict=True):
        plane[:] = np.frombuffer(content, np.uint8)
    return planes


def _milliseconds(work: Callable[[], object], *, pause: float = PAUSE_SECONDS) -> float:
    time.sleep(pause)
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def _jpeg() -> bytes:
    data = io.BytesIO()
    sample = importlib.resources.files("mayfly.samples") / "portrait.jpg"
    with sample.open("rb") as stream, Image.open(stream) as opened:
        opened.convert("RGB").resize((SIDE, SIDE)).save(data, "JPEG", quality=92)
    return data.getvalue()
