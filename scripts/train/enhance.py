"""Trains the networks of `enhance` and writes their weights; docs/enhance-training.md says how to run it."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mayfly.effects.models.enhancer import Enhancer, initialise, interpolate
from scripts.train.corpus import Corpus
from scripts.train.muon import Muon

# By scale: channels and residual blocks.
SIZES = {1: (48, 5), 2: (48, 9)}
BATCH, SIDE = 16, 96  # SIDE is of the target, in pixels
LEARNING_RATE, EMA_DECAY = 8e-4, 0.999
# Charbonnier's loss is L1 with a round tip of this size, in 0…1.
TIP = 1e-3


def begun(scale: int, start: Path | None) -> Enhancer:
    """A network to train: from plain interpolation, or from weights of as many or fewer blocks, which it then equals.

    New blocks begin by adding nothing.
    """
    width, blocks = SIZES[scale]
    network = Enhancer(scale=scale, width=width, blocks=blocks).to(memory_format=torch.channels_last)
    initialise(network)
    if start is None:
        return network
    given = load_file(start)
    known = {name.split(".")[1] for name in given if name.startswith("body.")}
    network.load_state_dict(given, strict=len(known) == blocks)
    for block in list(network.body)[len(known) :]:
        assert isinstance(block.second, nn.Conv2d)
        nn.init.zeros_(block.second.weight)
        assert block.second.bias is not None
        nn.init.zeros_(block.second.bias)
    return network


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
    stop: Path | None,
    candidates: int,
    squared: bool,
) -> None:
    """Train one network, write its averaged weights to `out` every two minutes and at the end.

    The learning rate falls to zero at `steps` or after `minutes`, whichever comes first. `start` names weights to
    go on from; a file `stop` ends the run early. `squared` errors, for a last stage, punish what is boldly wrong.
    """
    torch.manual_seed(seed)
    corpus = Corpus(data, drawn, seed, candidates=candidates)
    network = begun(scale, start)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    hidden = [value for name, value in network.named_parameters() if name.startswith("body.") and value.ndim > 1]
    others = [value for value in network.parameters() if all(value is not other for other in hidden)]
    muon, adam = Muon(hidden), torch.optim.Adam(others, lr=LEARNING_RATE, betas=(0.9, 0.99))
    began = written = time.monotonic()
    losses: list[float] = []
    step, progress = 0, 0.0
    while progress < 1:
        given, target = corpus.batch(scale, count=BATCH, side=SIDE)
        with torch.autocast("cpu", torch.bfloat16):
            residual = network(given.contiguous(memory_format=torch.channels_last))
        difference = interpolate(given, scale) + residual.float() - target
        square = difference * difference
        loss = square.mean() if squared else (square + TIP * TIP).sqrt().mean()
        rate = learning_rate * min(1, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in adam.param_groups:
            group["lr"] = rate
        network.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 0.5)
        adam.step()
        muon.step(rate)
        losses.append(loss.item())
        decay = min(EMA_DECAY, (step + 1) / (step + 10))
        for name, value in network.state_dict().items():
            average[name].lerp_(value, 1 - decay)
        step += 1
        now = time.monotonic()
        progress = max(step / steps, (now - began) / 60 / minutes)
        if stop is not None and stop.exists():
            progress = 1
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
    parser.add_argument("--candidates", type=int, default=1, help="more: harder places are drawn more often")
    parser.add_argument("--squared", action="store_true", help="squared errors, for a last stage")
    parser.add_argument("--stop", type=Path, help="a file that ends the run once it exists")
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
        stop=given.stop,
        candidates=given.candidates,
        squared=given.squared,
    )


if __name__ == "__main__":
    main()
