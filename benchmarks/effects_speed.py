"""Milliseconds per megapixel of each effect on this machine's CPU, beside a reference in the same rounds.

A new effect is a line in CASES. Times are of the runner on one 1280×720 frame of uint8 RGB, which is what a worker
calls; the reference gets the same frame in the form that it likes best.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data
import torch
from PIL import Image
from torch import Tensor

from benchmarks import report
from mayfly.effects import registry
from mayfly.effects.library.enhance import Enhance
from mayfly.effects.runner import Runner

ROUNDS = 5
WIDTH, HEIGHT = 1280, 720

Frame = npt.NDArray[np.uint8]
# From (H, W, 3) RGB to what is timed.
Reference = Callable[[Frame], Callable[[], object]]


@dataclasses.dataclass(frozen=True)
class Case:
    """An effect with parameters, and what it is measured beside; a demand on the ratio belongs into its name."""

    effect: str
    parameters: dict[str, Any]
    reference: tuple[str, Reference] | None = None

    @property
    def name(self) -> str:
        """The effect and the parameters that differ from its defaults."""
        return " ".join((self.effect, *(f"{name}={value}" for name, value in self.parameters.items())))


def stylization(frame: Frame) -> Callable[[], object]:
    """OpenCV's own cartoon filter (Gastal and Oliveira, 2011)."""
    given = np.ascontiguousarray(frame[..., ::-1])
    return lambda: cv2.stylization(given)


def bare_network(name: str) -> Reference:
    """A network of `enhance` alone: no conversion of dtype, no interpolation, no tiles."""

    def reference(frame: Frame) -> Callable[[], object]:
        effect = Enhance()
        effect.setup(torch.device("cpu"))
        network = {"enhance-x1": effect._restore, "enhance-x2": effect._enlarge}[name]
        given = _tensor(frame).to(effect._dtype).div(255).to(memory_format=torch.channels_last)

        def run() -> Tensor:
            with torch.inference_mode():
                result: Tensor = network(given)
                return result

        return run

    return reference


FASTER = ("cv2.stylization (below 1)", stylization)
CASES = [
    Case("anime", {"style": "cel"}, FASTER),
    Case("anime", {"style": "ink"}, FASTER),
    Case("anime", {"style": "watercolour"}, FASTER),
    Case("enhance", {}, ("the bare network (at most 1.2)", bare_network("enhance-x2"))),
    Case("enhance", {"scale": 1}, ("the bare network (at most 1.2)", bare_network("enhance-x1"))),
    Case("enhance", {"scale": 1, "low_light": 1}),
]


def picture() -> Frame:
    """(720, 1280, 3): a portrait, as large as it comes, in the middle of a table."""
    ground = Image.fromarray(skimage.data.coffee()).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    ground.paste(Image.fromarray(skimage.data.astronaut()), ((WIDTH - 512) // 2, (HEIGHT - 512) // 2))
    return np.asarray(ground)


def main() -> dict[str, float]:
    """Milliseconds per megapixel, and the ratio to the reference, of every case."""
    cv2.setNumThreads(torch.get_num_threads())
    frame = picture()
    megapixels = frame.shape[0] * frame.shape[1] / 1e6
    figures: dict[str, float] = {"threads": torch.get_num_threads()}
    for case in CASES:
        runner = Runner(registry.find(case.effect)())
        params = registry.parameters(case.effect, case.parameters)
        given = _tensor(frame)

        def ours(runner: Runner = runner, params: Any = params, given: Tensor = given) -> object:
            return runner(given, params)

        if case.reference is None:
            [mine] = report.alternate(ROUNDS, ours)
        else:
            label, make = case.reference
            mine, theirs = report.alternate(ROUNDS, ours, make(frame))
            figures[f"{case.name} ÷ {label}"] = report.median_ratio(mine, theirs)
            figures[f"{label.split(' (')[0]}, ms/MP, beside {case.name}"] = (
                1000 * statistics.median(theirs) / megapixels
            )
        figures[f"{case.name}, ms/MP"] = 1000 * statistics.median(mine) / megapixels
    return figures


def _tensor(frame: Frame) -> Tensor:
    return torch.from_numpy(frame.copy()).permute(2, 0, 1)[None]


if __name__ == "__main__":
    for figure, value in main().items():
        print(f"{figure:<70} {value:10.3f}")
