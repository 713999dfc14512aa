"""Colour spaces: sRGB, linear light, luma and OKLab, so that effects change colour where eyes judge it."""

from __future__ import annotations

import torch
from torch import Tensor

# Björn Ottosson, "A perceptual color space for image processing", 2020.
_LINEAR_TO_LMS = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_LMS_TO_OKLAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_OKLAB_TO_LMS = (
    (1.0, 0.3963377774, 0.2158037573),
    (1.0, -0.1055613458, -0.0638541728),
    (1.0, -0.0894841775, -1.2914855480),
)
_LMS_TO_LINEAR = (
    (4.0767416621, -3.3077115913, 0.2309699292),
    (-1.2684380046, 2.6097574011, -0.3413193965),
    (-0.0041960863, -0.7034186147, 1.7076147010),
)
_LUMA = (0.299, 0.587, 0.114)


def _mix(image: Tensor, matrix: tuple[tuple[float, float, float], ...]) -> Tensor:
    # A 1×1 convolution on the CPU is thirty times slower than this product.
    rows = torch.tensor(matrix, dtype=image.dtype, device=image.device)
    mixed = torch.matmul(rows, image.flatten(2))
    return mixed.view(image.shape)


def srgb_to_linear(image: Tensor) -> Tensor:
    """Decode sRGB to linear light (IEC 61966-2-1); any shape, 0…1."""
    curve = image.clamp_min(0.04045).add_(0.055).div_(1.055).pow_(2.4)
    return torch.where(image <= 0.04045, image / 12.92, curve)


def linear_to_srgb(image: Tensor) -> Tensor:
    """Encode linear light as sRGB (IEC 61966-2-1); any shape; values below 0 follow the line through 0."""
    curve = image.clamp_min(0.0031308).pow_(1 / 2.4).mul_(1.055).sub_(0.055)
    return torch.where(image <= 0.0031308, image * 12.92, curve)


def srgb_to_oklab(image: Tensor) -> Tensor:
    """(N, 3, H, W) sRGB in 0…1 to OKLab: lightness 0…1, a and b about −0.4…0.4."""
    lms = _mix(srgb_to_linear(image), _LINEAR_TO_LMS)
    return _mix(lms.clamp_min_(0).pow_(1 / 3), _LMS_TO_OKLAB)


def oklab_to_srgb(image: Tensor) -> Tensor:
    """(N, 3, H, W) OKLab to sRGB; colours outside the gamut leave 0…1 and are the caller's to clip."""
    lms = _mix(image, _OKLAB_TO_LMS)
    return linear_to_srgb(_mix(lms * lms * lms, _LMS_TO_LINEAR))


def luma(image: Tensor) -> Tensor:
    """(N, 3, H, W) sRGB in 0…1 to its Rec. 601 luma, (N, 1, H, W) in 0…1."""
    red, green, blue = _LUMA
    return image[:, 0:1] * red + image[:, 1:2] * green + image[:, 2:3] * blue
