"""What `segment` costs beside the bare call of MediaPipe's selfie segmentation on the same picture."""

from __future__ import annotations

import functools
import statistics

import numpy as np
import skimage.data
import torch
from PIL import Image

from benchmarks import report
from mayfly.effects import registry
from mayfly.effects.runner import Runner

_SIDES = (512, 1024, 2048)


def main() -> dict[str, float]:
    """Milliseconds per megapixel, medians of seven rounds in one run: the mask of the astronaut."""
    import mediapipe

    runner, params = Runner(registry.find("segment")()), registry.parameters("segment", {"output": "mask"})
    bare = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
    figures: dict[str, float] = {}
    for side in _SIDES:
        picture = np.array(Image.fromarray(skimage.data.astronaut()).resize((side, side), Image.Resampling.BICUBIC))
        frame = torch.from_numpy(picture).permute(2, 0, 1)[None].contiguous()
        mine, theirs = report.alternate(
            7, functools.partial(runner, frame, params), functools.partial(bare.process, picture)
        )
        figures[f"{side} × {side}, ms/MP"] = 1000 * statistics.median(mine) / (side * side / 1e6)
        figures[f"{side} × {side}, bare call, ms/MP"] = 1000 * statistics.median(theirs) / (side * side / 1e6)
        figures[f"{side} × {side}, ÷ bare call (at most 2)"] = report.median_ratio(mine, theirs)
    bare.close()
    return figures


if __name__ == "__main__":
    for figure, value in main().items():
        print(f"{figure:<50} {value:10.3f}")
