"""Lines appear where a draughtsman would draw one."""

from __future__ import annotations

import torch

from mayfly.effects.library.anime import flow, lines


def response(lightness: torch.Tensor, *, crowding: float = 0.0) -> torch.Tensor:
    direction = flow.tangents(flow.structure_tensor(lightness, 2.0))
    return lines.flow_lines(lightness, direction, sigma=0.8, length=2.5, surround=8.0, crowding=crowding)


def test_an_edge_gets_its_line_on_the_dark_side() -> None:
    image = torch.full((1, 1, 40, 60), 0.3)
    image[..., 30:] = 0.8
    profile = response(image)[0, 0, 20]
    assert float(profile[29]) > 0.04
    assert float(profile[30]) < 0
    assert float(profile[:25].abs().max()) < 1e-3


def test_flat_and_graded_regions_get_none() -> None:
    ramp = torch.linspace(0.2, 0.8, 80).expand(1, 1, 40, 80).contiguous()
    assert float(response(ramp)[..., 6:-6].abs().max()) < 1e-3


def test_a_long_stroke_beats_a_speck() -> None:
    stroke = torch.full((1, 1, 41, 41), 0.8)
    speck = stroke.clone()
    stroke[..., 20, :] = 0.4
    speck[..., 20, 20] = 0.4
    assert float(response(stroke)[..., 20, 20]) > 3 * float(response(speck)[..., 20, 20])


def test_crowding_silences_texture_more_than_a_single_stroke() -> None:
    single = torch.full((1, 1, 60, 60), 0.8)
    single[..., 30, :] = 0.4
    texture = torch.full((1, 1, 60, 60), 0.8)
    texture[..., ::5, :] = 0.4
    left = [
        float(response(image, crowding=0.6)[..., 30, 30] / response(image)[..., 30, 30]) for image in (single, texture)
    ]
    assert left[0] > 0.9
    assert left[1] < left[0] - 0.15
