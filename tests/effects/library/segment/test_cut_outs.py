import base64
import io

import torch
from PIL import Image

from mayfly.effects.library.segment import cut_outs


def half(height=40, width=60):
    """A cut-out of the right half."""
    alpha = torch.zeros(1, height, width, dtype=torch.uint8)
    alpha[..., width // 2 :] = 255
    return cut_outs.CutOut(alpha=alpha)


def test_in_front_of_something_else():
    frame = torch.full((3, 40, 60), 200, dtype=torch.uint8)
    shown = cut_outs.before(frame, half(), cut_outs.plain("#102030", frame), wrap=0)
    assert shown[:, 5, 5].tolist() == [0x10, 0x20, 0x30]
    assert shown[:, 5, 50].tolist() == [200, 200, 200]


def test_light_wraps_around_the_rim_and_not_further():
    frame = torch.full((3, 400, 600), 60, dtype=torch.uint8)
    shown = cut_outs.before(frame, half(400, 600), cut_outs.plain("#ffffff", frame), wrap=1.0)
    assert shown[0, 200, 301] > 80 > shown[0, 200, 310] > 60
    assert shown[0, 200, 400] == 60


def test_a_softer_edge_keeps_its_place():
    soft = cut_outs.feathered(half(200, 300), 1.0).alpha[0, 100].to(torch.int64)
    assert ((soft > 0) & (soft < 255)).sum() > 8
    assert abs(int(soft[149]) + int(soft[150]) - 255) <= 2
    assert cut_outs.feathered(half(), 0.0).alpha.equal(half().alpha)


def test_what_is_not_seen_is_not_kept():
    frame = torch.full((3, 40, 60), 90, dtype=torch.uint8)
    bare = cut_outs.bare(frame, half())
    assert (bare[..., :30] == 0).all() and (bare[..., 30:] == 90).all()


def test_a_picture_covers_from_its_middle():
    stream = io.BytesIO()
    wide = Image.new("RGB", (90, 30), "#000000")
    wide.paste("#ffffff", (30, 0, 60, 30))
    wide.save(stream, "PNG")
    text = base64.b64encode(stream.getvalue()).decode()
    for size in ((20, 20), (300, 300)):
        shown = cut_outs.covering(text, torch.zeros(3, *size))
        assert shown.shape == (1, 3, *size)
        edge = size[0] // 20
        assert shown[..., edge:-edge].min() > 0.95
