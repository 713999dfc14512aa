"""Measures bodies in pictures by finding them again: pose points from several looks, widths of the person's mask."""

import cv2
import numpy as np
import torch

from mayfly.effects.vision import finder
from mayfly.effects.vision import pose_points as joint

_FINDER = finder.Finder()
_SWAP = [0, 4, 5, 6, 1, 2, 3, 8, 7, 10, 9] + [index + 1 if index % 2 else index - 1 for index in range(11, 33)]


def frame(picture):
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)


def points(picture):
    """(33, 2): the median of what is found at three sizes, as it is and mirrored; one look is off by a few percent."""
    found = []
    for factor in (0.85, 1, 1.2):
        kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        scaled = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=kind)
        for look in (scaled, scaled[:, ::-1]):
            pose = _FINDER.pose(frame(look))
            if pose is None:
                continue
            places = pose.points.copy()
            if look is not scaled:
                places[:, 0] = scaled.shape[1] - places[:, 0]
                places = places[_SWAP]
            found.append(places / factor)
    return np.median(found, 0)


def mask(picture):
    """(H, W) float32."""
    return _FINDER.person(frame(picture))[0].numpy()


def face_width(picture):
    box = _FINDER.faces(frame(picture))[0].box
    return box[2] - box[0]


def shoulders(picture, _source=None):
    """Their distance in lengths of the trunk."""
    found = points(picture)
    trunk = _middle(found, joint.LEFT_SHOULDER) - _middle(found, joint.LEFT_HIP)
    return _length(found, joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER) / np.hypot(*trunk)


def legs(picture, _source=None):
    """Hip to ankle in lengths of the trunk."""
    found = points(picture)
    trunk = _middle(found, joint.LEFT_SHOULDER) - _middle(found, joint.LEFT_HIP)
    leg = _length(found, joint.LEFT_HIP, joint.LEFT_KNEE) + _length(found, joint.LEFT_KNEE, joint.LEFT_ANKLE)
    return leg / np.hypot(*trunk)


def neck(picture, _source=None):
    """From the ears to the shoulders in widths of the shoulders."""
    found = points(picture)
    up = _middle(found, joint.LEFT_EAR) - _middle(found, joint.LEFT_SHOULDER)
    return np.hypot(*up) / _length(found, joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER)


def head(picture, _source=None):
    """The face's width in widths of the shoulders."""
    found = points(picture)
    return face_width(picture) / _length(found, joint.LEFT_SHOULDER, joint.RIGHT_SHOULDER)


def area(picture, _source=None):
    return float(mask(picture).sum())


def trunk_width(level):
    """A measure of the mask's width across the source's trunk: at 0 its shoulders, at 1 its hips."""

    def measure(picture, source):
        chest, hips = _middle(source, joint.LEFT_SHOULDER), _middle(source, joint.LEFT_HIP)
        return _across(mask(picture), chest + level * (hips - chest), hips - chest)

    return measure


def forearm_width(picture, source):
    elbow, wrist = source[joint.RIGHT_ELBOW], source[joint.RIGHT_WRIST]
    found = mask(picture)
    return np.median([_across(found, elbow + share * (wrist - elbow), wrist - elbow) for share in (0.2, 0.35, 0.5)])


def _across(found, place, axis):
    """How wide the mask is at a place, across an axis."""
    right = np.array([axis[1], -axis[0]]) / np.hypot(*axis)
    total = 0
    for side in (right, -right):
        steps = np.arange(0, max(found.shape), 0.5)
        x, y = (place + steps[:, None] * side).astype(int).T
        inside = (x >= 0) & (y >= 0) & (x < found.shape[1]) & (y < found.shape[0])
        on = inside & (found[y.clip(0, found.shape[0] - 1), x.clip(0, found.shape[1] - 1)] > 0.5)
        total += steps[np.argmin(on)]
    return total


def _middle(found, left):
    return (found[left] + found[left + 1]) / 2


def _length(found, one, other):
    return np.hypot(*(found[one] - found[other]))
