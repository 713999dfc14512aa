"""Small corrections that a portrait retoucher makes beside skin: under the eyes, teeth, eyes, lips, light.

Each takes and returns (1, 3, H, W) OKLab of a face's grid and is nothing at amount 0; amounts are 0…1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mayfly.effects.shared import blur
from mayfly.effects.shared.face_masks import Grid
from mayfly.effects.vision import face_points as points

if TYPE_CHECKING:
    from mayfly.effects.shared.face_masks import Place


def brightened(lab: Tensor, more: Tensor) -> Tensor:
    """Lighter by `more` (1, 1, H, W), in OKLab's lightness, as by more light: colours grow too; never past white."""
    lightness = lab[:, :1]
    lighter = torch.where(more > 0, lightness + more * (1 - lightness).clamp(0, 0.4) / 0.4, lightness + more)
    gain = (lighter.clamp_min(0.05) / lightness.clamp_min(0.05)).clamp_max(2.5)
    return torch.cat([lighter, lab[:, 1:] * gain**0.7], 1)


def _replaced(whole: Tensor, where: Place, part: Tensor) -> Tensor:
    """A copy of which one place is another's."""
    result = whole.clone()
    result[where] = part
    return result


def under_eyes(lab: Tensor, skin: Tensor, grid: Grid, amount: float) -> Tensor:
    """Lift the shadow under the eyes to the cheek's lightness and colour; texture stays."""
    result, all_skin, whole = lab, skin, grid
    sides = (
        (points.RIGHT_UNDER_EYE, (*points.RIGHT_CHEEK_TOP[2:7], points.RIGHT_CHEEK)),
        (points.LEFT_UNDER_EYE, (*points.LEFT_CHEEK_TOP[2:7], points.LEFT_CHEEK)),
    )
    for outline, cheek in sides:
        where, grid = whole.around((*outline, *cheek), margin=0.08)
        lab, skin = result[where], all_skin[where]
        region = grid.polygon(outline, grow=0.01, feather=0.025)
        known = lab[0, :, (grid.discs(cheek, 0.025) * skin)[0, 0] > 0.6]
        if known.shape[1] < 8:
            continue
        cheek_tone = known.median(1).values.view(1, 3, 1, 1)
        # A dark circle may be too blue for skin; the rims of glasses are darker still.
        near = blur.smoothstep(0.55, 0.75, lab[:, :1] / cheek_tone[:, :1].clamp_min(0.05))
        weight = torch.maximum(skin, near * grid.polygon(outline)) + 1e-3
        sigma = 0.02 * grid.unit
        local = blur.wide(lab * weight, sigma) / blur.wide(weight, sigma)
        darker = (cheek_tone[:, :1] - local[:, :1]).clamp(0, 0.2)
        # Only where it is darker; a whole lift would flatten the lid's form.
        share = region * weight.clamp_max(1) * amount
        lifted = brightened(lab, share * 0.8 * darker)
        chroma = lifted[:, 1:] + share * 0.7 * (cheek_tone - local)[:, 1:] * blur.smoothstep(0, 0.05, darker)
        result = _replaced(result, where, torch.cat([lifted[:, :1], chroma], 1))
    return result


def teeth(lab: Tensor, grid: Grid, amount: float) -> Tensor:
    """Take yellow out of teeth and lift them a little; lips, gums and the dark of the mouth stay."""
    where, grid = grid.around(points.OUTER_LIPS, margin=0.03)
    whole, lab = lab, lab[where]
    mouth = grid.polygon(points.INNER_LIPS, feather=0.004)
    lips = grid.polygon(points.OUTER_LIPS) * (1 - grid.polygon(points.INNER_LIPS, grow=0.008))
    known = lab[0, :, lips[0, 0] > 0.5]
    if known.shape[1] < 8:
        return whole
    lightness, red, yellow = known.median(1).values.tolist()
    # Teeth are less red than the lips, not darker, and white is but little away from them.
    chroma = math.hypot(red, yellow)
    pale = 1 - blur.smoothstep(0.45 * red, 0.8 * red, lab[:, 1:2]) if red > 0.02 else 1.0
    light = blur.smoothstep(lightness - 0.08, lightness + 0.06, lab[:, :1])
    near = 1 - blur.smoothstep(1.2 * chroma + 0.05, 1.5 * chroma + 0.1, lab[:, 1:].norm(dim=1, keepdim=True))
    share = mouth * pale * light * near * amount
    whiter = torch.cat([lab[:, :1], lab[:, 1:2] * 0.7, lab[:, 2:] * 0.5], 1)
    lifted = torch.cat([whiter[:, :1] + 0.15 * (1 - whiter[:, :1]).clamp(0, 0.3), whiter[:, 1:]], 1)
    return _replaced(whole, where, torch.lerp(lab, lifted, share))


def eyes(lab: Tensor, grid: Grid, amount: float) -> Tensor:
    """Clear eyes: whites without red and a little lighter, irises with more contrast and colour."""
    for outline, iris in ((points.RIGHT_EYE, points.RIGHT_IRIS), (points.LEFT_EYE, points.LEFT_IRIS)):
        where, near = grid.around((*outline, *iris), margin=0.05)
        lab = _replaced(lab, where, _eye(lab[where], near, outline, iris, amount))
    return lab


def _eye(lab: Tensor, grid: Grid, outline: Sequence[int], iris: Sequence[int], amount: float) -> Tensor:
    centre, rim = grid.points[iris[0]], grid.points[list(iris[1:])]
    radius = max(float(abs(rim - centre).max()), 0.5)
    x, y = centre.tolist()
    rows = torch.arange(grid.size[0], device=lab.device).view(1, 1, -1, 1) + 0.5 - y
    columns = torch.arange(grid.size[1], device=lab.device).view(1, 1, 1, -1) + 0.5 - x
    disc = 1 - blur.smoothstep(0.9 * radius, 1.15 * radius, (rows * rows + columns * columns).sqrt())
    opening = grid.polygon(outline, feather=0.005) * amount
    # Lashes' shadow is no white.
    coloured, white = opening * disc, opening * (1 - disc) * blur.smoothstep(0.35, 0.65, lab[:, :1])
    contrast = lab[:, :1] - blur.gaussian(lab[:, :1], max(0.8, 0.35 * radius))
    lighter = brightened(lab, 0.05 * white + 0.02 * coloured)
    lightness = lighter[:, :1] + (0.6 * coloured + 0.3 * white) * contrast
    red, yellow = lighter[:, 1:2], lighter[:, 2:]
    red = red * (1 + 0.15 * coloured) - 0.6 * white * red.clamp_min(0)
    return torch.cat([lightness, red, yellow * (1 + 0.15 * coloured - 0.3 * white)], 1)


def lips(lab: Tensor, grid: Grid, amount: float) -> Tensor:
    """Richer lips in their own colour."""
    where, grid = grid.around(points.OUTER_LIPS, margin=0.05)
    whole, lab = lab, lab[where]
    outer, inner = grid.polygon(points.OUTER_LIPS, grow=-0.002, feather=0.012), grid.polygon(points.INNER_LIPS)
    share = outer * (1 - inner) * amount
    # Teeth that show between the points are pale and stay so.
    known = lab[0, :, (outer * (1 - inner))[0, 0] > 0.7]
    if known.shape[1] < 8:
        return whole
    usual = float(known[1].median())
    share = share * blur.smoothstep(0.3 * usual, 0.7 * usual, lab[:, 1:2]) if usual > 0.01 else share
    # Added, not multiplied: lips that are red already must not glow. Rose, for more yellow turns them orange.
    red, yellow = lab[:, 1:2] + 0.035 * share, lab[:, 2:] + 0.003 * share
    return _replaced(whole, where, torch.cat([lab[:, :1] * (1 - 0.04 * share), red, yellow], 1))


def light(lab: Tensor, skin: Tensor, grid: Grid, amount: float) -> Tensor:
    """A soft lamp in front of the face: its dark side is filled, all of it becomes a little lighter."""
    oval = grid.polygon(points.FACE_OVAL, grow=-0.02, feather=0.08)
    inside = grid.polygon(points.FACE_OVAL) * skin
    known = lab[0, 0, inside[0, 0] > 0.6]
    if len(known) < 8:
        return lab
    weight = skin + 1e-3
    sigma = 0.09 * grid.unit
    local = blur.wide(lab[:, :1] * weight, sigma) / blur.wide(weight, sigma)
    # Eyes, brows and lips are in the same light as the skin around them; hair is not ours.
    others = (points.RIGHT_EYE, points.LEFT_EYE, points.RIGHT_BROW, points.LEFT_BROW, points.OUTER_LIPS)
    features = grid.polygons(others, grow=0.03, feather=0.02)
    lit = torch.maximum(skin, features) * torch.maximum(oval, 0.5 * skin)
    missing = (known.quantile(0.7) - local).clamp(0, 0.15)
    return brightened(lab, lit * amount * (0.45 * missing + 0.04))
