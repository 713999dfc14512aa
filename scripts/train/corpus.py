"""Pairs that the networks of `enhance` learn from: a clean target, and what a camera or a reduction leaves of it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from scripts.train import pictures, synthetic

Picture = npt.NDArray[np.uint8]

# How often each source is drawn, relative to the others; a source not named here: 1.
WEIGHTS = {
    "china": 3,
    "flower": 2,
    "grace_hopper": 3,
    "bigbuckbunny": 3,
    "leaves": 2,
    "grain": 3,
    "brick": 0.5,
    "grass": 0.5,
    "gravel": 0.5,
    "hubble_deep_field": 0.5,
    "retina": 0.3,
}


class Source:
    """One picture, its reductions by two, and where it is hard."""

    def __init__(self, target: Picture) -> None:
        """Reduce it, and sum up the bicubic enlargement's error for `hardness`."""
        self.target = target
        height, width = target.shape[:2]
        image = Image.fromarray(target)
        # Bicubic first: it is drawn most often. No box: it folds fine stripes into coarse ones.
        kernels = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        self.reduced = [np.asarray(image.resize((width // 2, height // 2), kernel)) for kernel in kernels]
        plain = Image.fromarray(self.reduced[0]).resize((width, height), Image.Resampling.BICUBIC)
        error = np.abs(np.asarray(plain, np.float32) - target).mean(2)
        self._sums = np.pad(error, ((1, 0), (1, 0))).astype(np.float64).cumsum(0).cumsum(1)

    def hardness(self, top: int, left: int, side: int) -> float:
        """The error summed over a square."""
        s = self._sums
        return float(s[top + side, left + side] - s[top, left + side] - s[top + side, left] + s[top, left])


class Corpus:
    """Draws pairs at random, turned eight ways."""

    def __init__(self, folder: Path, drawn: int, seed: int, *, candidates: int = 1) -> None:
        """Read the real pictures from `folder`, draw `drawn` synthetic ones of each kind, reduce all.

        Of so many `candidates` the place to learn from is drawn in proportion to what bicubic enlargement gets wrong.
        """
        self.candidates = candidates
        self.rng = np.random.default_rng(seed)
        self.sources: dict[str, list[Source]] = {}
        real = list(pictures.training(folder))
        for name, picture, sizes in real:
            for size in sizes:
                self._add(name, picture, size)
        palettes = {name.rstrip("0123456789"): picture for name, picture, _ in real}
        for name, picture in synthetic.pictures(drawn, list(palettes.values()), seed):
            self._add(name, picture, 1.0)
        chances = np.array([WEIGHTS.get(name, 1) for name in self.sources], float)
        self.chances = chances / chances.sum()

    def _add(self, name: str, picture: Picture, size: float) -> None:
        height, width = (int(side * size) // 2 * 2 for side in picture.shape[:2])
        target = Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC)
        self.sources.setdefault(name.rstrip("0123456789"), []).append(Source(np.asarray(target)))

    def batch(self, scale: int, *, count: int, side: int) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) network inputs and (N, 3, H·scale, W·scale) targets of `side` pixels, float32 in 0…1."""
        pairs = [self._pair(scale, side) for _ in range(count)]
        return _tensor([given for given, _ in pairs]), _tensor([target for _, target in pairs])

    def _pair(self, scale: int, side: int) -> tuple[Picture, Picture]:
        rng = self.rng
        kind = list(self.sources.values())[rng.choice(len(self.chances), p=self.chances)]
        source = kind[rng.integers(len(kind))]
        top, left = self._place(source, side)
        target = source.target[top : top + side, left : left + side]
        if scale == 1:
            given = restoration_damage(target, rng)
        else:
            low = source.reduced[0 if rng.random() < 0.9 else 1]
            given = low[top // 2 : (top + side) // 2, left // 2 : (left + side) // 2]
            if rng.random() < 0.1:
                given = damage(given, rng, noise=rng.uniform(0, 3), quality=int(rng.integers(75, 96)))
        order, turns, flip = rng.permutation(3) if rng.random() < 0.3 else np.arange(3), rng.integers(4), rng.random()
        given, target = (np.rot90(picture[..., order], int(turns)) for picture in (given, target))
        return (given[:, ::-1], target[:, ::-1]) if flip < 0.5 else (given, target)

    def _place(self, source: Source, side: int) -> tuple[int, int]:
        height, width = source.target.shape[:2]
        places = [
            (int(self.rng.integers((height - side) // 2 + 1)) * 2, int(self.rng.integers((width - side) // 2 + 1)) * 2)
            for _ in range(self.candidates)
        ]
        chances = np.array([source.hardness(top, left, side) for top, left in places]) + 1e-6
        return places[self.rng.choice(self.candidates, p=chances / chances.sum())]


def _tensor(batch: list[Picture]) -> Tensor:
    stacked = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
    return stacked.to(torch.float32).div_(255)


def restoration_damage(picture: Picture, rng: np.random.Generator) -> Picture:
    """What a camera and an upload do: mostly noise, mostly JPEG; at times nothing."""
    noise = rng.uniform(0, 20) if rng.random() < 0.75 else 0.0
    quality = int(rng.integers(30, 96)) if rng.random() < 0.8 else None
    return damage(picture, rng, noise=noise, quality=quality)


def damage(picture: Picture, rng: np.random.Generator, *, noise: float, quality: int | None) -> Picture:
    """Gaussian noise of deviation `noise` levels, then JPEG; as a camera does it."""
    if noise:
        picture = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).round().astype(np.uint8)
    if quality is None:
        return picture
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=2 if rng.random() < 0.8 else 0)
    with Image.open(buffer) as image:
        return np.asarray(image)
