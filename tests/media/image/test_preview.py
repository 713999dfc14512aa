"""The preview of a picture: source and result side by side, bounded in size."""

import io

import numpy as np
import torch
from PIL import Image

from mayfly.media import sniff
from mayfly.media.image import codec, preview
from mayfly.media.limits import Limits

LIMITS = Limits()


def pixels(data):
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(opened.convert("RGB"), float)


def test_pictures_side_by_side(photo):
    source = codec.decode(photo, LIMITS)
    result = source.replaced((255 - source.rgb).repeat_interleave(2, 1).repeat_interleave(2, 2))
    data = preview.side_by_side(source, result)
    shown = pixels(data)
    assert shown.shape == (512, 2 * 512 + preview.DIVIDER, 3)
    original = source.rgb.permute(1, 2, 0).numpy().astype(float)
    assert np.abs(shown[:, :512] - original).mean() < 6
    assert np.abs(255 - shown[:, -512:] - original).mean() < 6


def test_large_and_clear_pictures():
    clear = codec.Picture(
        torch.zeros((3, 3000, 1500), dtype=torch.uint8), torch.zeros((1, 3000, 1500), dtype=torch.uint8), sniff.PNG
    )
    shown = pixels(preview.side_by_side(clear, clear))
    assert shown.shape == (720, 360 + preview.DIVIDER + 360, 3)
    assert shown.min() > 250
