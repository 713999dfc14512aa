"""What `expression` costs without finding the face, beside one `grid_sample` of the whole picture."""

from __future__ import annotations

import statistics
from functools import partial
from importlib import resources

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from benchmarks import report
from mayfly.effects.library.expression import expressions, muscles
from mayfly.effects.vision import finder, types

_SIDES = (1024, 2048)
_ASKED = muscles.Expression(smile=0.8, mouth_open=0.5, eyes_open=-0.4, brows=0.6)


def main() -> dict[str, float]:
    """Milliseconds per megapixel, medians in one run, by the picture's side in pixels; four motions of one face.

    `times_…` is how many grid_samples of the whole picture, three channels, the effect without vision takes.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with resources.files("mayfly.samples").joinpath("portrait.jpg").open("rb") as file:
        source = Image.open(file).convert("RGB")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    for side in _SIDES:
        picture = torch.from_numpy(np.array(source.resize((side, side)))).permute(2, 0, 1)
        face = finder.Finder().faces(picture)[0]
        frame = (picture[None].to(torch.float32) / 255).to(device)
        turn = torch.tensor([[[1.0, 0.02, 0.0], [-0.02, 1.0, 0.0]]], device=device)
        where = functional.affine_grid(turn, [1, 3, side, side], align_corners=False)

        def sampled(mode: str, image: torch.Tensor, places: torch.Tensor) -> float:
            return functional.grid_sample(image, places, mode=mode, align_corners=False).sum().item()

        def changed(image: torch.Tensor, found: types.Face) -> float:
            result = image.clone()
            expressions.change(result, found, _ASKED)
            return result.sum().item()

        times = report.alternate(
            7,
            partial(changed, frame, face),
            partial(sampled, "bicubic", frame, where),
            partial(sampled, "bilinear", frame, where),
        )
        for name, seconds in zip(("expression", "bicubic", "bilinear"), times, strict=True):
            figures[f"{side}_{name}_ms_per_megapixel"] = 1000 * statistics.median(seconds) / (side * side / 1e6)
        figures[f"{side}_times_bicubic"] = report.median_ratio(times[0], times[1])
        figures[f"{side}_times_bilinear"] = report.median_ratio(times[0], times[2])
    torch.set_num_threads(threads)
    return figures


if __name__ == "__main__":
    for figure, value in main().items():
        print(f"{figure:<40} {value:10.2f}")
