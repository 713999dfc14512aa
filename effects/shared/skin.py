"""Where a face's skin is: a colour model fitted to this very face, so that every tone and every light is known."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from mayfly.effects.shared import blur, edge_preserving
from mayfly.effects.shared.face_masks import Grid
from mayfly.effects.vision import face_points as points

# Places that neither hair nor beard nor glasses often cover: cheeks, nose, between the brows.
_SAMPLED = (205, 425, 50, 280, 101, 330, 195, 5, 9)
# The least standard deviations that are believed, of lightness and of both chromas over lightness.
_LEAST_DEVIATION = (0.09, 0.016, 0.016)
# Standard deviations up to which a colour is surely skin, and from which it surely is none.
_SURE, _NEVER = 2.2, 4.0
# Bins along each axis of the histograms, and standard deviations that they reach.
_BINS, _REACH = 14, 4.2
# How much rather a colour is skin than not before it is looked at, and how much more so inside a face.
_PRIOR, _MORE_INSIDE = 0.5, 25.0


def find(lab: Tensor, grid: Grid) -> Tensor:
    """How surely each pixel is this face's skin, (1, 1, H, W) in 0…1: face, ears and neck, without hair and features.

    Args:
        lab: (1, 3, H, W) OKLab of the grid.
        grid: of the face.
    """
    values, apart = colours(lab), features(grid)
    return mask(lab, values, fit(values, apart, grid), apart, grid)


def colours(lab: Tensor) -> Tensor:
    """(N, 3, H, W) OKLab to lightness and both chromas over lightness: less light changes only the first."""
    lightness = lab[:, :1]
    return torch.cat([lightness, lab[:, 1:] / lightness.clamp_min(0.08)], 1)


def fit(values: Tensor, features: Tensor, grid: Grid) -> Tensor:
    """The face's skin as a normal distribution of `colours`.

    Args:
        values: (1, 3, H, W), what `colours` returns.
        features: (1, 1, H, W), what `features` returns.
        grid: of the face.

    Returns:
        (4, 3): the mean, then the covariance.
    """
    # A few thousand pixels tell as much as all of them.
    step = max(1, round(grid.unit / 80))
    known = values[0, :, ::step, ::step].flatten(1)
    face = (grid.polygon(points.FACE_OVAL, grow=-0.03) * (1 - features))[..., ::step, ::step].flatten()
    samples = known[:, grid.discs(_SAMPLED, 0.03)[..., ::step, ::step].flatten() * face > 0.5]
    if samples.shape[1] < 16:
        samples = known[:, face > 0.5]
    if samples.shape[1] < 16:
        samples = known
    model = _normal(samples, samples.median(1, keepdim=True).values, 0.5)
    # All of the face that fits the samples: shadows and highlights, no hair.
    for _ in range(2):
        inside = known[:, (face > 0.5) & (_distance(known, model) < 3)]
        if inside.shape[1] > samples.shape[1]:
            model = _normal(inside, inside.mean(1, keepdim=True), 1.0)
    return model


def _normal(samples: Tensor, mean: Tensor, trust: float) -> Tensor:
    """Mean and covariance, (4, 3), no narrower than what is believed; `trust` scales what was found."""
    apart = samples - mean
    least = torch.diag(torch.tensor(_LEAST_DEVIATION, device=samples.device) ** 2)
    return torch.cat([mean.T, trust * apart @ apart.T / samples.shape[1] + least])


def _distance(known: Tensor, model: Tensor) -> Tensor:
    """(3, P) colours to (P,) standard deviations from the mean (Mahalanobis)."""
    apart = known - model[0][:, None]
    squared: Tensor = (apart * (torch.linalg.inv(model[1:]) @ apart)).sum(0)
    return squared.clamp_min(0).sqrt()


def features(grid: Grid) -> Tensor:
    """(1, 1, H, W): eyes with their lashes, brows, lips and nostrils, which are not skin; 0…1."""
    near = grid.polygons((points.RIGHT_EYE, points.LEFT_EYE), grow=0.025, feather=0.006)
    brows = grid.polygons((points.RIGHT_BROW, points.LEFT_BROW), grow=0.02, feather=0.006)
    lips = grid.polygon(points.OUTER_LIPS, grow=0.016, feather=0.006)
    return torch.maximum(torch.maximum(near, brows), lips)


def mask(lab: Tensor, values: Tensor, model: Tensor, features: Tensor, grid: Grid) -> Tensor:
    """How surely each pixel is this face's skin, (1, 1, H, W) in 0…1: face, ears and neck without hair.

    Args:
        lab: (1, 3, H, W) OKLab.
        values: what `colours` makes of it.
        model: what `fit` returned.
        features: what `features` returns.
        grid: of the face.
    """
    near = grid.polygon(points.FACE_OVAL, grow=0.16, feather=0.05)
    core = grid.polygon(points.FACE_OVAL, grow=-0.08, feather=0.02)
    known = values[0].flatten(1)
    likely = 1 - blur.smoothstep(_SURE, _NEVER, _distance(known, model))
    likely = (likely * _rather_skin(known, model, features, grid)).view(1, 1, *grid.size)
    likely = blur.gaussian(likely, 0.006 * grid.unit)
    # Hair may have skin's colour, but is never as calm.
    lightness = lab[:, :1]
    mean = blur.gaussian(lightness, 0.012 * grid.unit)
    deviation = (blur.gaussian(lightness * lightness, 0.012 * grid.unit) - mean * mean).clamp_min_(0).sqrt_()
    inside = grid.polygon(points.FACE_OVAL)
    calm_skin = deviation[(inside * likely) > 0.5]
    usual = float(calm_skin.median()) if len(calm_skin) else 0.02
    calm = 1 - blur.smoothstep(2.5 * usual + 0.01, 4 * usual + 0.03, deviation)
    likely = likely * torch.maximum(core, calm)
    rough = likely * near * (1 - features)
    # Its border follows the picture's edges.
    refined = _guided_by(lightness, rough, max(1, round(0.02 * grid.unit)))
    return (refined.clamp(0, 1) * near * (1 - features)).clamp_(0, 1)


def _rather_skin(known: Tensor, model: Tensor, features: Tensor, grid: Grid) -> Tensor:
    """(3, P) colours to (P,): the odds, 0…1, that a colour is the face's and not that of hair and background.

    Both are histograms in the skin's own units (after Jones and Rehg, "Statistical color models", 1999).
    """
    whitened = torch.linalg.solve_triangular(torch.linalg.cholesky(model[1:]), known - model[0][:, None], upper=False)
    places = ((whitened / _REACH + 1) * (_BINS / 2)).long().clamp_(0, _BINS - 1)
    bins = (places[0] * _BINS + places[1]) * _BINS + places[2]
    # Below the brows, where no hair falls.
    inner = _below(grid.polygon(points.FACE_OVAL, grow=-0.03), _row(grid, points.BETWEEN_EYES))
    # Above and beside the face; below it is the neck.
    cheek, chin = _row(grid, points.BETWEEN_EYES), _row(grid, points.CHIN)
    outer = 1 - grid.polygon(points.FACE_OVAL, grow=0.03)
    outer = outer - _below(outer, round(0.4 * cheek + 0.6 * chin))
    skin = _histogram(bins, (inner * (1 - features)).flatten())
    other = _histogram(bins, outer.flatten())
    prior = _PRIOR * (1 + _MORE_INSIDE * blur.gaussian(inner, 0.03 * grid.unit).flatten())
    odds = skin[bins] * prior
    return blur.smoothstep(0.35, 0.75, odds / (odds + other[bins] + 1e-9))


def _row(grid: Grid, point: int) -> int:
    return min(max(0, round(float(grid.points[point, 1]))), grid.size[0])


def _below(mask: Tensor, row: int) -> Tensor:
    """A copy that is 0 above a row."""
    kept = mask.clone()
    kept[..., :row, :] = 0
    return kept


def _histogram(bins: Tensor, weights: Tensor) -> Tensor:
    """The share of each bin, smoothed along the three axes."""
    counts = torch.bincount(bins, weights, _BINS**3).to(torch.float32).view(1, 1, _BINS, _BINS, _BINS)
    smooth = functional.avg_pool3d(counts, 3, 1, 1)
    return (smooth / smooth.sum().clamp_min(1)).flatten()


def _guided_by(guide: Tensor, image: Tensor, radius: int) -> Tensor:
    slope, offset = edge_preserving.guided_coefficients(guide, image, radius, noise=0.03)
    return blur.box(slope, radius) * guide + blur.box(offset, radius)
