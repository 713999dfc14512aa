"""Keeps faces, bodies and masks steady from frame to frame of a video, and forgets them at a cut.

Each track_… takes what was remembered (None before the first frame), the frame and what was found in it, and returns
what to remember and what to use. Nothing is written in place, so that the same frame can come again. Time between
frames is in seconds; 1/30 unless told.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from mayfly.effects.vision import boxes, one_euro, scene_cuts
from mayfly.effects.vision.types import Face, Pose

if TYPE_CHECKING:
    from torch import Tensor

STEP = 1 / 30

# Units are sizes of the face or body, so that distance to the camera does not matter; for masks, full coverage.
FACE = one_euro.Settings(still=0.5, agility=3.0, speed=1.3)
POSE = one_euro.Settings(still=0.5, agility=3.0, speed=1.3)
MASK = one_euro.Settings(still=1.5, agility=3.0)

# Frames for which something that is not found stays where it was.
HOLD = 3
# Least overlap of a face with itself in the next frame.
_OVERLAP = 0.1
# A body whose centre moves by more than this share of its size in one frame is another body.
_JUMP = 0.5
# How much more the motion of all points together counts than that of one.
_COMMON = 15.0


@dataclasses.dataclass(frozen=True, eq=False)
class FaceTrack:
    """One face that is followed: as it was last shown, its filter, and for how many frames it has been missing."""

    face: Face
    signal: one_euro.Signal[Any]
    missing: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class FaceTracks:
    """All faces that are followed, by number, and a thumbnail of the last frame."""

    tracks: tuple[FaceTrack, ...]
    thumbnail: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class PoseTrack:
    """The body that is followed, None where there is none."""

    pose: Pose | None
    signal: one_euro.Signal[Any] | None
    thumbnail: Tensor
    missing: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class MaskTrack:
    """The filter of every pixel of a mask."""

    signal: one_euro.Signal[Any]
    thumbnail: Tensor


def track_faces(
    state: FaceTracks | None, frame: Tensor, found: list[Face], *, step: float = STEP
) -> tuple[FaceTracks, list[Face]]:
    """Follow faces: each keeps its number, a new one gets the least that is free.

    Args:
        state: None or what the last call returned.
        frame: (3, H, W), in which the faces were found.
        found: what mayfly.effects.vision.finder.Finder.faces gives.
        step: seconds since the last frame.
    """
    small = scene_cuts.thumbnail(frame)
    old = () if state is None or scene_cuts.is_cut(state.thumbnail, small) else state.tracks
    pairs = _pairs(old, found)
    if not pairs and found:
        # All of them jumped: another scene that looks alike.
        old = ()
    kept = []
    for index, track in enumerate(old):
        if index in pairs:
            kept.append(_moved(track, found[pairs[index]], step))
        elif track.missing < HOLD:
            kept.append(dataclasses.replace(track, missing=track.missing + 1))
    taken = {track.face.number for track in kept}
    for index, face in enumerate(found):
        if index not in pairs.values():
            number = next(number for number in range(1, len(taken) + 2) if number not in taken)
            taken.add(number)
            face = dataclasses.replace(face, number=number)
            kept.append(FaceTrack(face, one_euro.begin(_values(face.points, face.depth))))
    kept.sort(key=lambda track: track.face.number)
    return FaceTracks(tuple(kept), small), [track.face for track in kept]


def track_pose(
    state: PoseTrack | None, frame: Tensor, found: Pose | None, *, step: float = STEP
) -> tuple[PoseTrack, Pose | None]:
    """Follow the body that mayfly.effects.vision.finder.Finder.pose finds; arguments as track_faces."""
    small = scene_cuts.thumbnail(frame)
    if state is not None and scene_cuts.is_cut(state.thumbnail, small):
        state = None
    if found is None:
        if state is None or state.missing == HOLD:
            return PoseTrack(None, None, small), None
        return dataclasses.replace(state, thumbnail=small, missing=state.missing + 1), state.pose
    values = _values(found.points, found.visibility)
    size = max(float((found.points.max(0) - found.points.min(0)).max()), 1.0)
    signal = None if state is None else state.signal
    if signal is None or float(abs(values.mean(0) - signal.value.mean(0))[:2].max()) > _JUMP * size:
        signal = one_euro.begin(values)
    else:
        signal = one_euro.apply_next(signal, values, POSE, step=step, magnitude=_speed_in(size))
    pose = Pose(points=signal.value[:, :2], visibility=signal.value[:, 2])
    return PoseTrack(pose, signal, small), pose


def track_mask(
    state: MaskTrack | None, frame: Tensor, found: Tensor, *, step: float = STEP
) -> tuple[MaskTrack, Tensor]:
    """Follow a mask, (1, H, W) float32 in 0…1, from mayfly.effects.vision.finder.Finder.person; see track_faces."""
    small = scene_cuts.thumbnail(frame)
    is_new = state is None or state.signal.value.shape != found.shape or scene_cuts.is_cut(state.thumbnail, small)
    if state is None or is_new:
        signal = one_euro.begin(found)
    else:
        signal = one_euro.apply_next(state.signal, found, MASK, step=step)
    return MaskTrack(signal, small), signal.value


def context(*, step: float = STEP) -> int:
    """Frames after which a start in mid-video shows what a start at the beginning shows, but for 2 % of a difference.

    For an effect's `temporal_context`. Faces' numbers are those of the start, by size.
    """
    return max(one_euro.frames_to_settle(settings, step=step, remains=0.02) for settings in (FACE, POSE, MASK))


def _pairs(tracks: tuple[FaceTrack, ...], found: list[Face]) -> dict[int, int]:
    """Which track goes on as which face: index of the track to index of the face, the largest overlaps first."""
    overlaps = [
        (boxes.overlap(track.face.box, face.box), -old, -new)
        for old, track in enumerate(tracks)
        for new, face in enumerate(found)
    ]
    pairs: dict[int, int] = {}
    for share, old, new in sorted(overlaps, reverse=True):
        if share >= _OVERLAP and -old not in pairs and -new not in pairs.values():
            pairs[-old] = -new
    return pairs


def _moved(track: FaceTrack, face: Face, step: float) -> FaceTrack:
    values = _values(face.points, face.depth)
    signal = one_euro.apply_next(track.signal, values, FACE, step=step, magnitude=_speed_in(face.size))
    points = signal.value[:, :2]
    (left, top), (right, bottom) = points.min(0).tolist(), points.max(0).tolist()
    smoothed = Face(
        points=points,
        depth=signal.value[:, 2],
        box=(left, top, right, bottom),
        score=face.score,
        number=track.face.number,
    )
    return FaceTrack(smoothed, signal)


def _values(points: Any, third: Any) -> Any:
    """(N, 3) of points and one value more for each."""
    import numpy as np

    return np.concatenate([points, third[:, None]], 1)


def _speed_in(size: float) -> Any:
    """The speed of each point in the picture, in sizes per second, (N, 1).

    What all points do together counts more: it holds less noise than a single one, and its lag is seen most.
    """

    def magnitude(speed: Any) -> Any:
        together = speed[:, :2].mean(0, keepdims=True)
        alone = speed[:, :2] - together
        return (_COMMON * _length(together) + _length(alone)) / max(size, 1.0)

    return magnitude


def _length(vectors: Any) -> Any:
    return (vectors**2).sum(1, keepdims=True) ** 0.5
