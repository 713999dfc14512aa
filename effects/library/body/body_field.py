"""Which way each place of a body moves when its parts change: a smooth field on a coarse grid, and its inverse."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mayfly.effects.library.body import body_shape
from mayfly.effects.shared import blur

if TYPE_CHECKING:
    from mayfly.effects.library.body.body_shape import Body, Bone, Values

# Changes at ±1, as shares of the part's width, of the legs' length, of the head's size, of the shoulders' width.
_WAIST, _HIPS, _CHEST, _SHOULDERS, _ARMS, _LEGS, _HEAD = 0.22, 0.18, 0.18, 0.17, 0.25, 0.15, 0.15
_NECK, _SINK = 0.07, 0.05
# Slimming as a whole: how much of each part's change it is.
_SLIM = {"waist": 0.6, "hips": 0.7, "chest": 0.6, "shoulders": 0.3, "arms": 0.6, "thighs": 0.6}
# The levels of the trunk, 0 at the shoulders and 1 at the hips, and how far each reaches up and down.
_LEVELS = {"chest": (0.27, 0.17, 0.17), "waist": (0.68, 0.18, 0.18), "hips": (1.05, 0.17, 0.24)}
# The most that tilted shoulders are turned, in radians, and the share of the tilt that goes.
_TURN, _LEVELLED = 0.12, 0.7
_NODES = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class Change:
    """What changes, −1…1 each, 0 nothing: larger above 0; slim slimmer, legs longer and posture straighter."""

    slim: float = 0.0
    waist: float = 0.0
    hips: float = 0.0
    chest: float = 0.0
    shoulders: float = 0.0
    arms: float = 0.0
    legs: float = 0.0
    head: float = 0.0
    posture: float = 0.0


def moves(body: Body, change: Change, box: tuple[int, int, int, int], size: tuple[int, int], edges: Values) -> Values:
    """Where the person's new pixels come from.

    Args:
        body: from mayfly.effects.library.body.body_shape.measure.
        change: what to change.
        box: the person's: left, top, right, bottom in pixels.
        size: the frame's height and width.
        edges: (4,), how much the mask touches the frame's left, top, right and bottom border, 0…1.

    Returns:
        (n, m, 2) float32, at most 128 nodes a side, evenly spread over the box with half a step at its borders: what
        to add to a place to get where its content comes from, in pixels.
    """
    left, top, right, bottom = box
    step = max(2.0, (right - left) / _NODES, (bottom - top) / _NODES)
    columns, rows = max(2, round((right - left) / step)), max(2, round((bottom - top) / step))
    steps = np.array([(right - left) / columns, (bottom - top) / rows], np.float32)
    x = left + (np.arange(columns, dtype=np.float32) + 0.5) * steps[0]
    y = top + (np.arange(rows, dtype=np.float32) + 0.5) * steps[1]
    nodes = np.stack(np.meshgrid(x, y), -1).astype(np.float32)
    forward = _forward(nodes, body, change, top=float(top) if edges[1] < 0.5 else None)
    return _inverse(_pinned(forward, nodes, size, edges, 0.35 * body.unit), steps)


def _forward(nodes: Values, body: Body, change: Change, *, top: float | None) -> Values:
    """How far the content of each node goes; `top` is the head's upper end where it is in the frame."""
    amounts = {name: getattr(change, name) for name in ("waist", "hips", "chest", "shoulders", "arms")}
    for name in amounts:
        amounts[name] -= _SLIM[name] * change.slim
    field = _trunk(nodes, body, amounts)
    if amounts["arms"]:
        field += _limbs(nodes, body.arms, _ARMS * amounts["arms"])
    if change.slim:
        field += _limbs(nodes, body.legs, -_ARMS * _SLIM["thighs"] * change.slim)
    if change.head:
        field += _head(nodes, body, change.head, top)
    if change.posture:
        field += _posture(nodes, body, change.posture, top)
    if change.legs:
        field = _legs(nodes, field, body, change.legs, top)
    return field


def _trunk(nodes: Values, body: Body, amounts: dict[str, float]) -> Values:
    """Along the trunk's axis: wider or narrower, arms at its side go along."""
    axis = body.hips - body.chest
    length = float(np.linalg.norm(axis))
    axis = axis / length
    right = np.array([axis[1], -axis[0]], np.float32)
    from_chest = nodes - body.chest
    level, off = from_chest @ axis / length, from_chest @ right
    wide = np.where(
        off < 0,
        np.interp(level, body_shape.LEVELS, body.widths[0]),
        np.interp(level, body_shape.LEVELS, body.widths[1]),
    ).astype(np.float32)
    strength = np.zeros_like(level)
    for name, most in (("chest", _CHEST), ("waist", _WAIST), ("hips", _HIPS)):
        centre, above, below = _LEVELS[name]
        share = amounts[name] * most * body.seen[name]
        strength += share * np.exp(-0.5 * ((level - centre) / np.where(level < centre, above, below)) ** 2)
    far = 1 - blur.smoothstep(1.7, 3.4, np.abs(off) / wide)
    across = strength * _saturated(off, wide) * far
    if amounts["shoulders"]:
        half = np.float32(0.6 * body.unit)
        fade = np.exp(-0.5 * (level * length / body.unit / np.where(level < 0, 0.14, 0.42)) ** 2)
        reach = 1 - blur.smoothstep(1.7, 3.4, np.abs(off) / half)
        across = across + amounts["shoulders"] * _SHOULDERS * body.seen["trunk"] * fade * reach * _saturated(off, half)
    return np.asarray(across[..., None] * right, np.float32)


def _saturated(off: Values, half: Values | np.float32) -> Values:
    """The distance from an axis inside a part, its border's outside."""
    return np.asarray(half * np.tanh(1.2 * off / half) / np.tanh(1.2), np.float32)


def _limbs(nodes: Values, limbs: tuple[tuple[Bone, Bone], ...], strength: float) -> Values:
    """Thicker or thinner around each bone; where bones meet they share."""
    total, weights = np.zeros_like(nodes), np.zeros(nodes.shape[:2], np.float32)
    for limb in limbs:
        for place, bone in enumerate(limb):
            along = bone.end - bone.start
            length = float(np.linalg.norm(along))
            if bone.seen <= 0 or length < 1:
                continue
            along = along / length
            right = np.array([along[1], -along[0]], np.float32)
            share, off = (nodes - bone.start) @ along / length, (nodes - bone.start) @ right
            begins, ends = ((0.05, 0.4), (0.95, 1.2)) if place == 0 else ((-0.2, 0.05), (0.85, 1.1))
            weight = blur.smoothstep(*begins, share) * (1 - blur.smoothstep(*ends, share)) * bone.seen
            weight = weight * (1 - blur.smoothstep(1.4, 2.8, np.abs(off) / bone.radius))
            total += (weight * strength * _saturated(off, np.float32(bone.radius)))[..., None] * right
            weights += weight
    return np.asarray(total / np.maximum(1, weights)[..., None], np.float32)


def _head_weight(nodes: Values, body: Body) -> Values:
    """1 on the head, 0 from the collar down."""
    away = np.linalg.norm(nodes - body.head, axis=-1)
    weight = 1 - blur.smoothstep(1.25, 2.3, away / body.head_radius)
    up = body.head - body.chest
    distance = max(float(np.linalg.norm(up)), 1.0)
    height = (nodes - body.chest) @ (up / distance) / distance
    return np.asarray(weight * blur.smoothstep(0.0, 0.55, height))


def _head(nodes: Values, body: Body, amount: float, top: float | None) -> Values:
    """From the neck upwards; what would leave the picture at its top is moved down."""
    neck = body.chest + 0.4 * (body.head - body.chest)
    grown = _HEAD * amount * body.seen["head"]
    down = 0.0 if top is None else max(0.0, grown * (neck[1] - top) - _room(body, top))
    weight = _head_weight(nodes, body)[..., None]
    return np.asarray(weight * (grown * (nodes - neck) + np.array([0, down])), np.float32)


def _room(body: Body, top: float) -> float:
    """How far a head may go up."""
    return max(0.0, top - 0.02 * body.unit)


def _posture(nodes: Values, body: Body, amount: float, top: float | None) -> Values:
    """A longer neck between a higher head and lower shoulders, which become level; or the other way."""
    down = (body.hips - body.chest) / np.linalg.norm(body.hips - body.chest)
    right = np.array([down[1], -down[0]], np.float32)
    head = _head_weight(nodes, body)[..., None] * body.seen["head"]
    from_chest = nodes - body.chest
    below, off = from_chest @ down / body.unit, from_chest @ right / body.unit
    trunk = (
        (1 - blur.smoothstep(0.2, 1.0, below))
        * (1 - blur.smoothstep(0.9, 1.6, np.abs(off)))
        * blur.smoothstep(-0.7, -0.25, below)
    )
    trunk = (trunk * body.seen["trunk"])[..., None] * (1 - head)
    rise, sink = amount * _NECK * body.unit, amount * _SINK * body.unit
    if top is not None and rise > _room(body, top):
        # What the head lacks in room, the shoulders give.
        rise, sink = _room(body, top), sink + 0.5 * (rise - _room(body, top))
    shrug = blur.smoothstep(0.05, 0.45, np.abs(off))[..., None]
    field = head * -rise * down + trunk * shrug * sink * down
    if amount > 0:
        turn = float(np.clip(-body.tilt * _LEVELLED, -_TURN, _TURN)) * amount
        field = field + trunk * turn * np.stack([-from_chest[..., 1], from_chest[..., 0]], -1)
    return np.asarray(field, np.float32)


def _legs(nodes: Values, field: Values, body: Body, amount: float, top: float | None) -> Values:
    """Legs stretch from the feet, which stay; all above goes along. Who would leave the picture is made smaller."""
    leg = body.hips - body.feet
    length = float(np.linalg.norm(leg))
    if length < 0.2 * body.unit or not body.seen["legs"]:
        return field
    up = leg / length
    longer = _LEGS * amount * body.seen["legs"] * length
    share = np.clip((nodes - body.feet) @ up / length, 0, 1)
    off = np.abs((nodes - body.feet) @ np.array([up[1], -up[0]], np.float32)) / body.unit
    near = (1 - blur.smoothstep(2.2, 3.2, off))[..., None]
    field = field + near * (longer * share)[..., None] * up
    if top is not None and longer > 0:
        tall = body.feet[1] - top
        room = body.feet[1] - min(top, 0.02 * body.unit)
        smaller = min(1.0, room / max(tall - longer * up[1], 1.0))
        field = field + near * (smaller - 1) * (nodes + field - body.feet)
    return np.asarray(field, np.float32)


def _pinned(field: Values, nodes: Values, size: tuple[int, int], edges: Values, reach: float) -> Values:
    """Nothing moves across the frame's borders that the person crosses: nobody knows what is behind them."""
    height, width = size
    x, y = nodes[..., 0], nodes[..., 1]
    result = field.copy()
    for edge, (axis, room) in enumerate(((0, x), (1, y), (0, width - x), (1, height - y))):
        result[..., axis] *= 1 - edges[edge] * (1 - blur.smoothstep(0.0, reach, room))
    return result


def _inverse(forward: Values, steps: Values) -> Values:
    """The field b with b(p) = −forward(p + b(p)), by fixed-point iteration."""
    rows, columns = np.indices(forward.shape[:2], np.float32)
    back = -forward
    for _ in range(6):
        back[:] = -cv2.remap(
            forward,
            columns + back[..., 0] / steps[0],
            rows + back[..., 1] / steps[1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
    return back
