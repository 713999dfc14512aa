"""Drawn training pictures: dead leaves, grain, strands and text, which need no photographer and no licence.

Dead leaves (occluding shapes of scale-free sizes) share the edge statistics of natural pictures, and networks
trained on them restore photographs nearly as well (Achddou, Gousseau, Ladjal, Fully synthetic training for image
restoration tasks, 2023).
"""

from __future__ import annotations

import string
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Picture = npt.NDArray[np.uint8]

SIDE = 384
# Drawn larger and reduced, so that edges are as soft as a lens makes them.
OVERSAMPLING = 3


def pictures(count: int, palettes: list[Picture], seed: int) -> Iterator[tuple[str, Picture]]:
    """`count` pictures of each kind; colours and textures are taken from `palettes`, real training pictures."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        for kind in (_leaves, _grain, _strands, _text):
            canvas = kind(rng, palettes)
            small = canvas.resize(
                (SIDE, SIDE), Image.Resampling.BOX if rng.random() < 0.5 else Image.Resampling.HAMMING
            )
            yield f"{kind.__name__[1:]}{index}", np.asarray(small)


def _colour(rng: np.random.Generator, palette: Picture) -> tuple[int, int, int]:
    pixel = palette[rng.integers(palette.shape[0]), rng.integers(palette.shape[1])].astype(int) + rng.integers(-12, 13)
    red, green, blue = np.clip(pixel, 0, 255).tolist()
    return red, green, blue


def _leaves(rng: np.random.Generator, palettes: list[Picture]) -> Image.Image:
    side = SIDE * OVERSAMPLING
    palette = palettes[rng.integers(len(palettes))]
    canvas = Image.new("RGB", (side, side), _colour(rng, palette))
    smallest, largest = 7.0, side / 2
    # Radii of density r^-3, from large to small so that the small ones stay visible.
    uniform = rng.random(2600)
    radii = 1 / np.sqrt(uniform / smallest**2 + (1 - uniform) / largest**2)
    order = np.sort(radii)[::-1] + rng.normal(0, 12, len(radii))
    for radius in radii[np.argsort(-order)]:
        x, y = rng.uniform(0, side, 2)
        mask = Image.new("L", (int(2 * radius) + 3,) * 2)
        _shape(rng, ImageDraw.Draw(mask), float(radius))
        canvas.paste(_filling(rng, palettes, palette, mask.size), (int(x - radius), int(y - radius)), mask)
    if rng.random() < 0.3:
        canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2.5)))
    return canvas


def _shape(rng: np.random.Generator, draw: ImageDraw.ImageDraw, radius: float) -> None:
    kind = rng.integers(3)
    if kind == 0:
        squash = rng.uniform(0.3, 1)
        draw.ellipse((0, radius * (1 - squash), 2 * radius, radius * (1 + squash)), fill=255)
        return
    corners = rng.integers(3, 8)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = radius * (rng.uniform(0.4, 1, corners) if kind == 1 else np.ones(corners))
    draw.polygon(
        [(radius + r * np.cos(a), radius + r * np.sin(a)) for r, a in zip(reach, angles, strict=True)], fill=255
    )


def _filling(rng: np.random.Generator, palettes: list[Picture], palette: Picture, size: tuple[int, int]) -> Image.Image:
    kind = rng.integers(4)
    if kind < 2:
        return Image.new("RGB", size, _colour(rng, palette))
    if kind == 2:
        corners = np.array([[_colour(rng, palette) for _ in range(2)] for _ in range(2)], np.uint8)
        return Image.fromarray(corners).resize(size, Image.Resampling.BILINEAR)
    texture = palettes[rng.integers(len(palettes))]
    side = int(min(max(size) / OVERSAMPLING + 4, *texture.shape[:2]))
    top, left = rng.integers(texture.shape[0] - side + 1), rng.integers(texture.shape[1] - side + 1)
    piece = Image.fromarray(texture[top : top + side, left : left + side])
    return piece.resize(size, Image.Resampling.BICUBIC)


def _strands(rng: np.random.Generator, palettes: list[Picture]) -> Image.Image:
    """Bundles of thin, curved, nearly parallel lines: hair, fur, grass, fabric."""
    side = SIDE * OVERSAMPLING
    palette = palettes[rng.integers(len(palettes))]
    canvas = Image.new("RGB", (side, side), _colour(rng, palette))
    draw = ImageDraw.Draw(canvas)
    steps = np.linspace(0, 1, 14)
    for _ in range(26):
        base = np.array(_colour(rng, palette), float)
        start, angle, bend = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi), rng.uniform(-2, 2)
        length, spread, thickness = rng.uniform(150, 900), rng.uniform(20, 160), rng.uniform(1.5, 7)
        for _ in range(int(rng.uniform(30, 120))):
            turn = angle + rng.normal(0, 0.12) + (bend + rng.normal(0, 0.2)) * steps
            at = start + rng.normal(0, spread, 2)
            path = at[:, None] + np.cumsum(np.stack([np.cos(turn), np.sin(turn)]), axis=1) * length / len(steps)
            shade = np.clip(base * rng.uniform(0.55, 1.3) + rng.normal(0, 8, 3), 0, 255).astype(int)
            draw.line([(float(x), float(y)) for x, y in path.T], fill=tuple(shade.tolist()), width=round(thickness))
    return canvas


def _grain(rng: np.random.Generator, palettes: list[Picture]) -> Image.Image:
    """Regions of wavy stripes of every direction and width: wood, cloth, corduroy, tiles.

    Without them the network turns fine stripes into bolder ones of another direction: it has to learn how a
    reduction by two folds what is too fine for it.
    """
    side = SIDE * OVERSAMPLING
    palette = palettes[rng.integers(len(palettes))]
    y, x = np.mgrid[0:side, 0:side].astype(np.float32)
    canvas = Image.new("RGB", (side, side), _colour(rng, palette))
    for _ in range(10):
        angle, period = rng.uniform(0, np.pi), OVERSAMPLING * rng.uniform(1.6, 10)
        warp = _smooth(rng, side, 6) * period * rng.uniform(0, 6)
        across = (x * np.cos(angle) + y * np.sin(angle) + warp) / period
        if rng.random() < 0.3:
            wave = np.sin(2 * np.pi * across)
        else:
            profile = rng.uniform(-1, 1, 4096)
            wave = np.interp(across * 2 % 4096, np.arange(4096), profile)
        wave *= np.clip(0.6 + 0.7 * _smooth(rng, side, 12), 0, 1) * rng.uniform(0.2, 1)
        dark, light = (np.array(_colour(rng, palette), np.float32) for _ in range(2))
        pixels = (dark + light) / 2 + (light - dark) / 2 * wave[..., None] + rng.normal(0, 6, (side, side, 1))
        mask = Image.new("L", (side, side))
        middle, radius, corners = rng.uniform(0, side, 2), rng.uniform(0.2, 0.6) * side, rng.integers(3, 8)
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        outline = [(middle[0] + radius * np.cos(a), middle[1] + radius * np.sin(a)) for a in angles]
        ImageDraw.Draw(mask).polygon(outline, fill=255)
        canvas.paste(Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), (0, 0), mask)
    return canvas


def _smooth(rng: np.random.Generator, side: int, cells: int) -> npt.NDArray[np.float32]:
    """(side, side) noise in about -1…1 that changes over a `cells`-th of the side."""
    coarse = Image.fromarray(rng.uniform(-1, 1, (cells, cells)).astype(np.float32))
    return np.asarray(coarse.resize((side, side), Image.Resampling.BICUBIC))


def _text(rng: np.random.Generator, palettes: list[Picture]) -> Image.Image:
    side = SIDE * OVERSAMPLING
    palette = palettes[rng.integers(len(palettes))]
    canvas = _filling(rng, palettes, palette, (side, side))
    draw = ImageDraw.Draw(canvas)
    letters = np.array(list(string.ascii_letters + string.digits + "  .,;:!?()&%+-=/"))
    for _ in range(30):
        x, y, size = rng.uniform(-40, side - 100), rng.uniform(-20, side - 20), rng.uniform(24, 130)
        line = "".join(rng.choice(letters, rng.integers(3, 24)))
        extreme = (0, 0, 0) if rng.random() < 0.5 else (255, 255, 255)
        ink = extreme if rng.random() < 0.5 else _colour(rng, palette)
        box = (x, y, x + size * len(line) * 0.5, y + size * 1.2)
        if rng.random() < 0.6:
            draw.rectangle(box, fill=_colour(rng, palette), outline=ink if rng.random() < 0.4 else None, width=4)
        draw.text((x, y), line, font=ImageFont.load_default(size), fill=ink)
    return canvas
