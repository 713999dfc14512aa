"""The finder as effects use it: no memory, many threads, nothing printed, and the choice of a face."""

import dataclasses
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import numpy as np
import pytest
import torch

from mayfly.effects import errors
from mayfly.effects.vision import finder as finders
from mayfly.effects.vision.types import Face
from tests.effects.vision import pictures

ROOT = Path(__file__).parents[3]


def face(number):
    points = np.zeros((478, 2), np.float32)
    return Face(points=points, depth=points[:, 0], box=(0, 0, 0, 0), score=1.0, number=number)


def everything(finder, frame):
    pose = finder.pose(frame)
    return (
        [one.points.tolist() for one in finder.faces(frame)],
        pose and pose.points.tolist(),
        finder.person(frame).tolist(),
    )


def test_the_same_frame_gives_the_same_answer_whatever_came_before(finder):
    one, other = (
        pictures.frame(picture) for picture in (pictures.astronaut(), pictures.shifted(pictures.astronaut(), 40))
    )
    first = everything(finder, one)
    second = everything(finder, other)
    assert first != second
    assert everything(finder, one) == first
    assert everything(finders.Finder(), one) == first


def test_threads_share_a_finder():
    frames = [
        pictures.frame(pictures.shifted(pictures.scaled(pictures.astronaut(), 0.5), 10 * step)) for step in range(4)
    ]
    alone = [everything(finders.Finder(), frame) for frame in frames]
    shared = finders.Finder()
    with futures.ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            assert list(pool.map(lambda frame: everything(shared, frame), frames)) == alone


def test_a_frame_in_inference_mode_is_not_written_to(finder):
    with torch.inference_mode():
        frame = pictures.frame(pictures.astronaut()).to(torch.float32) / 255
        copy = frame.clone()
        everything(finder, frame)
    assert torch.equal(frame, copy)


def test_nothing_is_printed_and_nothing_heavy_is_imported_early():
    code = """
import sys
from mayfly.effects.vision import face_points, finder, pose_points, smoothing, types
assert not {"torch", "numpy", "cv2", "mediapipe"} & set(sys.modules)
from tests.effects.vision import pictures
found, frame = finder.Finder(), pictures.frame(pictures.astronaut())
assert found.faces(frame) and found.pose(frame) and found.person(frame).max() > 0
print("of ours", file=sys.stderr)
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "of ours\n")


def test_a_face_is_chosen_by_its_number():
    first, second = face(1), face(2)
    assert finders.chosen([first, second], 0) == [first, second]
    assert finders.chosen([first, second], 2) == [second]
    assert finders.chosen([second], 2) == [second], "the first one has left the picture"


def test_no_face_is_an_error_that_says_what_to_do():
    with pytest.raises(errors.NoFace, match="choose a picture") as caught:
        finders.chosen([], 0)
    assert caught.value.code == "no_face"
    with pytest.raises(errors.NoFace, match="lower number"):
        finders.chosen([face(1)], 2)
    assert finders.chosen([], 1, required=False) == []


def test_what_was_found_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        face(1).number = 2
