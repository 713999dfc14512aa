"""What `fashion` costs: with the search for the wearer and garment, the search for the wearer, and painting alone."""

from __future__ import annotations

import statistics
from importlib import resources

import numpy as np
import torch
from PIL import Image

from benchmarks import report
from mayfly.effects import registry
from mayfly.effects.library.fashion import Fashion
from mayfly.effects.runner import Runner

_SIDE = 1024


def main() -> dict[str, float]:
    """Milliseconds per megapixel, medians of five rounds in one run: the sample portrait at 1024 × 1024."""
    with resources.files("mayfly.samples").joinpath("portrait.jpg").open("rb") as file:
        picture = np.array(Image.open(file).convert("RGB").resize((_SIDE, _SIDE)))
    frame = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
    runner = Runner(registry.find("fashion")(), "cuda" if torch.cuda.is_available() else "cpu")
    effect = runner.effect
    assert isinstance(effect, Fashion)
    finder = effect._finder
    plain = registry.parameters("fashion", {"colour": "#2f6fd0"})
    tartan = registry.parameters("fashion", {"colour": "#2f6fd0", "pattern": "tartan"})
    times = report.alternate(
        5,
        lambda: runner(frame[None], plain).cpu(),
        lambda: runner(frame[None], tartan).cpu(),
        lambda: (finder.pose(frame), finder.faces(frame), finder.person(frame)),
    )
    whole, patterned, vision = (1000 * statistics.median(found) / (_SIDE * _SIDE / 1e6) for found in times)
    return {
        "colour, with vision, ms/MP": whole,
        "tartan, with vision, ms/MP": patterned,
        "vision alone, ms/MP": vision,
        "colour, without vision, ms/MP": whole - vision,
    }


if __name__ == "__main__":
    import rich.console

    report.table(rich.console.Console(), "fashion", main())
