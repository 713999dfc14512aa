"""How fast skin is retouched beside OpenCV's bilateral filter of the same radius, on the same pictures."""

from __future__ import annotations

import statistics
from functools import partial
from importlib.resources import files

from benchmarks import report

_ROUNDS = 3
# Pixels a side; a phone's photo has four times the larger.
_SIDES = (512, 1024)
# Head and shoulders in the sample portrait: left, top, right, bottom in its pixels.
_HEAD = (96, 0, 352, 256)
# The bilateral filter's standard deviation of colours in levels: what it takes for even skin.
_COLOURS = 25.0


def main() -> dict[str, float]:
    """Milliseconds per megapixel, by the picture's side in pixels, and how many times as fast we are.

    `skin` is smoothing alone, `all` every default, each with finding the face; `bilateral` has the radius in pixels of
    the windows in which skin is smoothed. All on one thread.
    """
    import cv2
    import numpy as np
    import torch

    from mayfly import samples
    from mayfly.effects.library.retouch import Retouch, RetouchParameters, skin_smoothing
    from mayfly.effects.runner import Runner
    from mayfly.effects.vision.finder import Finder
    from mayfly.media.image import codec
    from mayfly.media.limits import Limits

    source = files(samples).joinpath("portrait.jpg").read_bytes()
    left, top, right, bottom = _HEAD
    head = codec.decode(source, Limits()).rgb[:, top:bottom, left:right].permute(1, 2, 0).numpy()
    runner = Runner(Retouch())
    skin = RetouchParameters(blemishes=0, under_eye=0, teeth=0, eyes=0, lips=0)
    threads, theirs = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    figures: dict[str, float] = {}
    for side in _SIDES:
        picture = np.ascontiguousarray(cv2.resize(head, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
        frames = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()
        radius = round(skin_smoothing.RADIUS * Finder().faces(frames[0])[0].size)
        times = report.alternate(
            _ROUNDS,
            partial(runner, frames, skin),
            partial(runner, frames, RetouchParameters()),
            partial(cv2.bilateralFilter, picture, 2 * radius + 1, _COLOURS, radius / 2),
        )
        for name, seconds in zip(("skin", "all", "bilateral"), times, strict=True):
            figures[f"{side}_{name}_ms_per_megapixel"] = statistics.median(seconds) * 1000 / (side * side / 1e6)
        figures[f"{side}_radius_pixels"] = radius
        figures[f"{side}_skin_times_as_fast"] = report.median_ratio(times[2], times[0])
        figures[f"{side}_all_times_as_fast"] = report.median_ratio(times[2], times[1])
    torch.set_num_threads(threads)
    cv2.setNumThreads(theirs)
    return figures
