"""Draws the pictures of docs/effects.md about anime and enhance: `python -m scripts.pictures_of_styles docs/pictures`.

Only pictures in the public domain or under CC0 of scikit-image, and frames of Big Buck Bunny from mayfly/samples.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skimage.data
import torch
from PIL import Image

from mayfly.effects import registry
from mayfly.effects.runner import Runner
from mayfly.effects.shared import colour

Picture = npt.NDArray[np.uint8]
SAMPLES = Path(__file__).parents[1] / "mayfly" / "samples"
QUALITY, WIDTH = 78, 1100


def applied(runner: Runner, picture: Picture, **given: Any) -> Picture:
    """The effect's result for an (H, W, 3) picture."""
    params = registry.parameters(runner.effect.declaration.name, given)
    result = runner(torch.from_numpy(picture.copy()).permute(2, 0, 1)[None], params)
    return np.asarray(result[0].permute(1, 2, 0))


def frame(seconds: float) -> Picture:
    """A frame of the sample clip, (360, 640, 3)."""
    command = ["ffmpeg", "-v", "error", "-ss", str(seconds), "-i", str(SAMPLES / "clip.mp4"), "-frames:v", "1"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(360, 640, 3)


def beside(*pictures: Picture) -> Picture:
    """In a row, all as high as the first."""
    height = pictures[0].shape[0]
    scaled = [
        Image.fromarray(picture).resize((round(picture.shape[1] * height / picture.shape[0]), height))
        for picture in pictures
    ]
    return np.concatenate([np.asarray(picture) for picture in scaled], 1)


def save(target: Path, *rows: Picture) -> None:
    """Rows of one width, as a JPEG."""
    scaled = [Image.fromarray(row).resize((WIDTH, round(row.shape[0] * WIDTH / row.shape[1]))) for row in rows]
    whole = Image.fromarray(np.concatenate([np.asarray(row) for row in scaled]))
    whole.save(target, quality=QUALITY, optimize=True, progressive=True)


def darkened(picture: Picture) -> Picture:
    """With a twentieth of the light, and grain of four levels."""
    linear = colour.srgb_to_linear(torch.from_numpy(picture.copy()).float() / 255) * 0.05
    dark = colour.linear_to_srgb(linear).numpy() * 255
    return np.clip(dark + np.random.default_rng(0).normal(0, 4, dark.shape), 0, 255).round().astype(np.uint8)


def main() -> None:
    """Write anime-styles.jpg, anime-faces.jpg and enhance-low-light.jpg into the folder that is named."""
    folder = Path(sys.argv[1])
    torch.set_num_threads(1)
    anime, enhance = Runner(registry.find("anime")()), Runner(registry.find("enhance")())
    portrait, cat, meadow = skimage.data.astronaut()[:440], skimage.data.chelsea(), frame(2)
    rows = []
    for picture in (portrait, cat, meadow):
        drawn = [applied(anime, picture, style=style) for style in ("cel", "ink", "watercolour")]
        rows.append(beside(picture, *drawn))
    save(folder / "anime-styles.jpg", *rows)
    face = (slice(40, 210), slice(130, 310))
    rows = [
        beside(
            *(applied(anime, portrait, style=style, faces=faces)[face] for style in ("cel", "ink") for faces in (0, 1))
        )
    ]
    save(folder / "anime-faces.jpg", *rows)
    motorcycle = skimage.data.stereo_motorcycle()[0][:500, :736]
    dark = darkened(motorcycle)
    save(folder / "enhance-low-light.jpg", beside(dark, applied(enhance, dark, scale=1, low_light=1), motorcycle))


if __name__ == "__main__":
    main()
