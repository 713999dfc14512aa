"""Whole bodies to measure: the astronaut's head on a drawn body, as no library brings a free picture of one."""

import functools
import itertools

import cv2
import numpy as np
from skimage import data

HEIGHT, WIDTH = 900, 560
# Joints in pixels: the middle of each bone's ends, and half widths there.
_SKIN, _SHIRT, _JEANS, _SHOES = (214, 160, 130), (176, 58, 62), (62, 84, 132), (60, 52, 48)
_HEAD = (
    *((150, 95), (165, 45), (205, 16), (250, 18), (290, 50), (302, 95)),
    *((285, 135), (262, 165), (262, 190), (190, 190), (188, 150), (160, 130)),
)


def standing(background=(186, 190, 196)):
    """(900, 560, 3) uint8 and (900, 560) float32: the picture, and exactly where the person is; arms a little apart."""
    picture, cover = _person()
    around = np.broadcast_to(np.asarray(background, np.float32), picture.shape)
    grain = np.random.default_rng(2).normal(0, 2, picture.shape)
    mixed = picture * cover + around * (1 - cover) + grain * cover
    return np.clip(mixed, 0, 255).round().astype(np.uint8), cover[..., 0].copy()


@functools.cache
def _person():
    """The same before nothing, as float32; drawn once, which takes a second."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    cover = np.zeros((HEIGHT, WIDTH), np.float32)
    for side in (-1, 1):
        x = WIDTH / 2
        _limb(picture, cover, [(x + 36 * side, 470, 44), (x + 46 * side, 640, 31), (x + 50 * side, 800, 23)], _JEANS)
        _limb(picture, cover, [(x + 50 * side, 800, 18), (x + 54 * side, 826, 19), (x + 72 * side, 842, 15)], _SHOES)
        _limb(picture, cover, [(x + 84 * side, 222, 27), (x + 122 * side, 340, 21), (x + 150 * side, 440, 15)], _SKIN)
        _limb(picture, cover, [(x + 150 * side, 440, 15), (x + 158 * side, 480, 17), (x + 160 * side, 498, 10)], _SKIN)
        _limb(picture, cover, [(x + 84 * side, 220, 30), (x + 104 * side, 282, 27)], _SHIRT)
    x = WIDTH / 2
    _limb(picture, cover, [(x, 450, 76), (x, 495, 79)], _JEANS)
    rows = [(190, 60), (205, 92), (235, 100), (300, 92), (385, 72), (450, 80)]
    _profile(picture, cover, x, rows, _SHIRT)
    _limb(picture, cover, [(x, 170, 26), (x, 205, 30)], _SKIN)
    _head(picture, cover, (x, 172))
    cover = np.clip(cv2.GaussianBlur(cover, (0, 0), 0.8), 0, 1)[..., None]
    return picture, cover


def grid(period=36, width=3):
    """(900, 560, 3) float32: dark lines on light ground, one every `period` pixels both ways."""
    rows, columns = np.indices((HEIGHT, WIDTH))
    line = ((rows + 7) % period < width) | ((columns + 11) % period < width)
    return np.repeat(np.where(line, 70.0, 205.0)[..., None], 3, -1).astype(np.float32)


def _limb(picture, cover, joints, colour):
    """Round along its length, lit from the upper left."""
    rows, columns = np.indices(cover.shape, np.float32)
    for (x0, y0, r0), (x1, y1, r1) in itertools.pairwise(joints):
        along = np.array([x1 - x0, y1 - y0])
        length = np.hypot(*along)
        along /= length
        share = np.clip(((columns - x0) * along[0] + (rows - y0) * along[1]) / length, 0, 1)
        off_x, off_y = columns - x0 - share * (x1 - x0), rows - y0 - share * (y1 - y0)
        radius = r0 + share * (r1 - r0)
        _shaded(picture, cover, np.hypot(off_x, off_y) / radius, off_x / radius, colour)


def _profile(picture, cover, x, rows, colour):
    """A trunk: half widths at rows."""
    down, columns = np.indices(cover.shape, np.float32)
    heights, widths = zip(*rows, strict=True)
    half = np.interp(down, heights, widths)
    inside = (down >= heights[0]) & (down <= heights[-1])
    _shaded(picture, cover, np.where(inside, np.abs(columns - x) / half, 2), (columns - x) / half, colour)


def _shaded(picture, cover, radius, across, colour):
    inside = radius < 1
    light = 0.62 + 0.38 * np.sqrt(np.clip(1 - radius**2, 0, 1)) - 0.14 * across
    weave = 1 + 0.05 * np.sin(np.indices(cover.shape)[0] * 0.9)
    picture[inside] = (light * weave)[inside][:, None] * np.array(colour)
    cover[inside] = 1


def _head(picture, cover, chin):
    outline = np.zeros((512, 512), np.uint8)
    cv2.fillPoly(outline, [np.array(_HEAD, np.int32)], 1)
    labels = np.where(outline > 0, cv2.GC_PR_FGD, cv2.GC_BGD).astype(np.uint8)
    labels[cv2.erode(outline, np.ones((25, 25), np.uint8)) > 0] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    cv2.grabCut(data.astronaut(), labels, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    head = labels & 1
    scale = 0.8
    matrix = np.float32([[scale, 0, chin[0] - 226 * scale], [0, scale, chin[1] - 182 * scale]])
    moved = cv2.warpAffine(data.astronaut(), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA).astype(np.float32)
    inside = cv2.warpAffine(head.astype(np.float32), matrix, (WIDTH, HEIGHT))[..., None]
    picture[:] = picture * (1 - inside) + moved * inside
    cover[:] = np.maximum(cover, inside[..., 0])
