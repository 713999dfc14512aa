"""Trains the networks of `enhance` and writes their weights; docs/enhance-training.md says how to run it."""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import math
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from effects.networks.enhancer import Enhancer, initialise, interpolate
from scripts.train import pictures, synthetic

Picture = npt.NDArray[np.uint8]

WIDTH, BLOCKS = 48, 5
BATCH, SIDE = 16, 96  # SIDE is of the target, in pixels
LEARNING_RATE, EMA_DECAY = 8e-4, 0.999
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
}
WEIGHTS |= {"gravel": 0.5, "hubble_deep_field": 0.5, "retina": 0.3}


class Corpus:
    """Pairs of a clean target and its reduction by two, drawn at random and turned eight ways."""

    def __init__(self, folder: Path, drawn: int, seed: int) -> None:
        """Read the real pictures from `folder`, draw the synthetic ones, reduce all."""
        self.rng = np.random.default_rng(seed)
        self.sources: dict[str, list[tuple[Picture, list[Picture]]]] = {}
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
        # Bicubic first: it is drawn most often. No box: it folds fine stripes into coarse ones.
        kernels = (Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
        reduced = [np.asarray(target.resize((width // 2, height // 2), kernel)) for kernel in kernels]
        self.sources.setdefault(name.rstrip("0123456789"), []).append((np.asarray(target), reduced))

    def batch(self, scale: int) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) network inputs and (N, 3, H·scale, W·scale) targets, float32 in 0…1."""
        pairs = [self._pair(scale) for _ in range(BATCH)]
        return _tensor([given for given, _ in pairs]), _tensor([target for _, target in pairs])

    def _pair(self, scale: int) -> tuple[Picture, Picture]:
        rng = self.rng
        source = list(self.sources.values())[rng.choice(len(self.chances), p=self.chances)]
        target, reduced = source[rng.integers(len(source))]
        height, width = target.shape[:2]
        top, left = (int(rng.integers((side - SIDE) // 2 + 1)) * 2 for side in (height, width))
        target = target[top : top + SIDE, left : left + SIDE]
        if scale == 1:
            given = _restoration_damage(target, rng)
        else:
            low = reduced[0 if rng.random() < 0.85 else 1]
            given = low[top // 2 : (top + SIDE) // 2, left // 2 : (left + SIDE) // 2]
            if rng.random() < 0.15:
                given = _damage(given, rng, noise=rng.uniform(0, 3), quality=int(rng.integers(75, 96)))
        order, turns, flip = rng.permutation(3) if rng.random() < 0.3 else np.arange(3), rng.integers(4), rng.random()
        given, target = (np.rot90(picture[..., order], int(turns)) for picture in (given, target))
        return (given[:, ::-1], target[:, ::-1]) if flip < 0.5 else (given, target)


def _tensor(batch: list[Picture]) -> Tensor:
    stacked = torch.from_numpy(np.stack(batch)).permute(0, 3, 1, 2)
    return stacked.to(torch.float32).div_(255)


def _restoration_damage(picture: Picture, rng: np.random.Generator) -> Picture:
    noise = rng.uniform(0, 20) if rng.random() < 0.75 else 0.0
    quality = int(rng.integers(30, 96)) if rng.random() < 0.8 else None
    return _damage(picture, rng, noise=noise, quality=quality)


def _damage(picture: Picture, rng: np.random.Generator, *, noise: float, quality: int | None) -> Picture:
    """Gaussian noise of deviation `noise` levels, then JPEG; as a camera does it."""
    if noise:
        picture = np.clip(picture + rng.normal(0, noise, picture.shape), 0, 255).round().astype(np.uint8)
    if quality is None:
        return picture
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=2 if rng.random() < 0.8 else 0)
    with Image.open(buffer) as image:
        return np.asarray(image)


def train(
    scale: int,
    data: Path,
    out: Path,
    *,
    steps: int,
    minutes: float,
    drawn: int,
    seed: int,
    start: Path | None,
    learning_rate: float,
) -> None:
    """Train one network, write its averaged weights to `out` every two minutes and at the end.

    The learning rate falls to zero at `steps` or after `minutes`, whichever comes first. `start` names weights to
    go on from.
    """
    torch.manual_seed(seed)
    corpus = Corpus(data, drawn, seed)
    network = Enhancer(scale=scale, width=WIDTH, blocks=BLOCKS).to(memory_format=torch.channels_last)
    initialise(network)
    if start is not None:
        network.load_state_dict(load_file(start))
    average = {name: value.clone() for name, value in network.state_dict().items()}
    optimiser = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.99))
    began = written = time.monotonic()
    losses: list[float] = []
    step, progress = 0, 0.0
    while progress < 1:
        given, target = corpus.batch(scale)
        with torch.autocast("cpu", torch.bfloat16):
            residual = network(given.contiguous(memory_format=torch.channels_last))
        loss = functional.l1_loss(interpolate(given, scale) + residual.float(), target)
        rate = learning_rate * min(1, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        optimiser.step()
        losses.append(loss.item())
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - decay)
        step += 1
        now = time.monotonic()
        progress = max(step / steps, (now - began) / 60 / minutes)
        if now - written > 120 or progress >= 1:
            written = now
            _write(out, scale, average, step=step, seconds=now - began, seed=seed, start=_sha256(start))
            print(f"step {step}  {now - began:.0f} s  loss {np.mean(losses[-500:]):.5f}  rate {rate:.1e}", flush=True)


def _sha256(path: Path | None) -> str | None:
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()


def _write(
    out: Path, scale: int, weights: dict[str, Tensor], *, step: int, seconds: float, seed: int, start: str | None
) -> None:
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"enhance-x{scale}.safetensors"
    partial = path.with_suffix(".partial")
    save_file({name: value.contiguous() for name, value in weights.items()}, partial)
    partial.replace(path)
    record = {
        "steps": step,
        "seconds": round(seconds),
        "seed": seed,
        "start": start,
        "sha256": _sha256(path),
        "parameters": sum(value.numel() for value in weights.values()),
        "torch": torch.__version__,
    }
    (out / f"enhance-x{scale}.json").write_text(json.dumps(record, indent=2) + "\n")


def main() -> None:
    """Read the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=int, choices=(1, 2), required=True, help="2 enlarges, 1 restores")
    parser.add_argument("--data", type=Path, required=True, help="folder with the unpacked wheels")
    parser.add_argument("--out", type=Path, required=True, help="folder for the weights")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--minutes", type=float, default=math.inf)
    parser.add_argument("--drawn", type=int, default=40, help="synthetic pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--start", type=Path, help="weights to go on from")
    parser.add_argument("--learning-rate", type=float, default=LEARNING_RATE)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    train(
        given.scale,
        given.data,
        given.out,
        steps=given.steps,
        minutes=given.minutes,
        drawn=given.drawn,
        seed=given.seed,
        start=given.start,
        learning_rate=given.learning_rate,
    )


if __name__ == "__main__":
    main()
