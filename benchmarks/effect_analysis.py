"""What `analysis` costs beside the bare call of MediaPipe's face landmarks on the same picture."""

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

_SIDES = (512, 1024)


def main() -> dict[str, float]:
    """Milliseconds per megapixel, medians of seven rounds in one run: the astronaut at 512 and 1024 pixels a side."""
    import mediapipe

    runner, params = Runner(registry.find("analysis")()), registry.parameters("analysis", {})
    bare = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=8, refine_landmarks=True)
    figures: dict[str, float] = {}
    for side in _SIDES:
        picture = np.array(Image.fromarray(skimage.data.astronaut()).resize((side, side), Image.Resampling.BICUBIC))
        frame = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        mine, theirs = report.alternate(
            7, functools.partial(runner.report, frame, params), functools.partial(bare.process, picture)
        )
        figures[f"{side} × {side}, ms/MP"] = 1000 * statistics.median(mine) / (side * side / 1e6)
        figures[f"{side} × {side}, bare call, ms/MP"] = 1000 * statistics.median(theirs) / (side * side / 1e6)
        figures[f"{side} × {side}, ÷ bare call (at most 2)"] = report.median_ratio(mine, theirs)
    bare.close()
    return figures


if __name__ == "__main__":
    for figure, value in main().items():
        print(f"{figure:<50} {value:10.3f}")
