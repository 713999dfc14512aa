"""Measures `enhance` on pictures kept from its training: PSNR against bicubic, and against the damaged picture.

The low-resolution picture is Pillow's BICUBIC reduction by two, rounded to 8 bits; the baseline is Pillow's BICUBIC
enlargement of the same. Damage is Gaussian noise of deviation 10 levels, then JPEG of quality 50 with Pillow's default
chroma subsampling. PSNR is over sRGB-encoded 8-bit RGB without the outermost 4 pixels.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage.data
import torch
from PIL import Image

from mayfly.effects import registry
from mayfly.effects.runner import Runner

Picture = npt.NDArray[np.uint8]

# scripts/train/ crops from none of these.
HELD_OUT = ("astronaut", "coffee", "chelsea", "rocket", "motorcycle")
_READERS = {"motorcycle": "stereo_motorcycle"}


def held_out(name: str) -> Picture:
    """One picture of HELD_OUT, (H, W, 3), cropped to even sides."""
    read: Callable[[], Any] = getattr(skimage.data, _READERS.get(name, name))
    picture: Picture = read()[0] if name == "motorcycle" else read()
    height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
    return np.ascontiguousarray(picture[:height, :width, :3])


def reduced(picture: Picture) -> Picture:
    """Half as large."""
    return _resized(picture, picture.shape[1] // 2, picture.shape[0] // 2)


def bicubic(picture: Picture) -> Picture:
    """Twice as large."""
    return _resized(picture, picture.shape[1] * 2, picture.shape[0] * 2)


def _resized(picture: Picture, width: int, height: int) -> Picture:
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BICUBIC))


def damaged(picture: Picture, *, noise: float = 10, quality: int = 50, seed: int = 0) -> Picture:
    """With Gaussian noise of deviation `noise` levels, then JPEG compression."""
    noisy = picture + np.random.default_rng(seed).normal(0, noise, picture.shape)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(noisy, 0, 255).round().astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as image:
        return np.asarray(image)


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB without the outermost 4 pixels."""
    difference = picture[4:-4, 4:-4].astype(np.float64) - truth[4:-4, 4:-4]
    return 10 * math.log10(255**2 / np.mean(difference**2))


def enhanced(runner: Runner, picture: Picture, **given: float) -> Picture:
    """The effect's result for one picture."""
    frames = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None]
    result: Picture = runner(frames, registry.parameters("enhance", given))[0].permute(1, 2, 0).cpu().numpy()
    return result


def measure(runner: Runner, name: str) -> dict[str, float]:
    """Figures of one held-out picture, in dB."""
    truth = held_out(name)
    low, bad = reduced(truth), damaged(truth)
    low_bad = damaged(low)
    return {
        "x2_bicubic": psnr(bicubic(low), truth),
        "x2_enhance": psnr(enhanced(runner, low), truth),
        "x1_damaged": psnr(bad, truth),
        "x1_enhance": psnr(enhanced(runner, bad, scale=1), truth),
        "x1_clean": psnr(enhanced(runner, truth, scale=1), truth),
        "x2_damaged_bicubic": psnr(bicubic(low_bad), truth),
        "x2_damaged_enhance": psnr(enhanced(runner, low_bad, denoise=1), truth),
    }


def main() -> dict[str, float]:
    """Print a table and return every figure."""
    runner = Runner(registry.find("enhance")())
    rows = {name: measure(runner, name) for name in HELD_OUT}
    for gain, (better, worse) in {
        "x2_gain": ("x2_enhance", "x2_bicubic"),
        "x1_gain": ("x1_enhance", "x1_damaged"),
        "x2_damaged_gain": ("x2_damaged_enhance", "x2_damaged_bicubic"),
    }.items():
        for row in rows.values():
            row[gain] = row[better] - row[worse]
    columns = list(rows[HELD_OUT[0]])
    rows["mean"] = {column: float(np.mean([row[column] for row in rows.values()])) for column in columns}
    print(f"{'PSNR in dB':<12}" + "".join(f"{column:>20}" for column in columns))
    for name, row in rows.items():
        print(f"{name:<12}" + "".join(f"{row[column]:>20.2f}" for column in columns))
    return {f"{name}_{column}": round(value, 3) for name, row in rows.items() for column, value in row.items()}


if __name__ == "__main__":
    main()
