"""The anime effect: its contract, and that it draws what a person would call a drawing."""

from __future__ import annotations

import subprocess
import sys

import pydantic
import pytest
import torch
from skimage import data
from torch.nn import functional

from mayfly.effects import registry
from mayfly.effects.contract import Media, Tag
from mayfly.effects.library.anime import Anime, AnimeParameters
from mayfly.effects.runner import Runner

DEFAULT = AnimeParameters()
NOTHING = AnimeParameters(lines=0, flatness=0, shading=0, colour=0)
STYLES = ("cel", "ink", "watercolour")


@pytest.fixture(scope="module")
def runner() -> Runner:
    return Runner(Anime())


def portrait() -> torch.Tensor:
    """(1, 3, 512, 512) uint8."""
    return torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None]


def apply(frames: torch.Tensor, **given: object) -> torch.Tensor:
    effect = Anime()
    effect.setup(torch.device("cpu"))
    with torch.inference_mode():
        return effect.apply(frames, AnimeParameters(**given))


def two_regions(side: int = 200, noise: float = 0.0) -> torch.Tensor:
    """(1, 3, side, side) in 0…1: a dark blue left half and a light orange right half."""
    image = torch.empty(1, 3, side, side)
    image[..., : side // 2] = torch.tensor([0.20, 0.25, 0.45]).view(3, 1, 1)
    image[..., side // 2 :] = torch.tensor([0.85, 0.65, 0.45]).view(3, 1, 1)
    grain = torch.randn(image.shape, generator=torch.Generator().manual_seed(8))
    return (image + noise * grain).clamp(0, 1)


def ink(frames: torch.Tensor, **given: object) -> torch.Tensor:
    """(N, 1, H, W): by how much the lines alone darken each pixel."""
    return (apply(frames, **given, lines=0) - apply(frames, **given, lines=1)).mean(1, keepdim=True)


def test_declaration_says_where_it_runs() -> None:
    declared = registry.declaration("anime")
    assert declared.parameters is AnimeParameters
    assert declared.media == frozenset(Media)
    assert declared.tag is Tag.GPU
    assert not declared.face
    assert declared.tiling is None


def test_importing_it_imports_no_torch() -> None:
    code = "import sys, mayfly.effects.library.anime; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", AnimeParameters.model_fields)
def test_every_parameter_is_bounded_and_described(name: str) -> None:
    field = AnimeParameters.model_fields[name]
    assert field.description
    for value in (-0.1, 100, "../x"):
        with pytest.raises(pydantic.ValidationError):
            AnimeParameters(**{name: value})


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 2), (37, 1), (3, 500), (61, 83), (240, 321), (701, 699)])
def test_any_size_gives_the_same_size(runner: Runner, size: tuple[int, int]) -> None:
    frames = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(9))
    result = runner(frames, DEFAULT)
    assert result.shape == frames.shape
    assert result.dtype == torch.uint8


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_plain_grey_stays_plain_and_grey(value: float) -> None:
    result = apply(torch.full((1, 3, 64, 48), value))
    assert bool(torch.isfinite(result).all())
    assert float(result.amax() - result.amin()) < 2e-3
    assert abs(float(result.mean()) - value) < 0.1


@pytest.mark.parametrize("size", [(90, 120), (820, 700)])
@pytest.mark.parametrize("lines", [0, 1])
def test_range_at_the_bounds_of_all_parameters(size: tuple[int, int], lines: int) -> None:
    saturated = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(10)).round()
    given = {"line_width": 3, "line_detail": 1, "flatness": 1, "shading": 1, "shades": 2, "colour": 1}
    result = apply(saturated, lines=lines, **given)
    assert bool(torch.isfinite(result).all())
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


def test_batch_equals_single_runs_and_repeats_itself(runner: Runner) -> None:
    frames = torch.cat([portrait()[..., :300, :333], portrait()[..., 200:500, 100:433].flip(3)])
    together = runner(frames, DEFAULT)
    assert torch.equal(together, torch.cat([runner(frame, DEFAULT) for frame in frames.split(1)]))
    assert torch.equal(together, runner(frames, DEFAULT))


def test_drawn_as_one_batch_equals_drawn_one_by_one() -> None:
    """What a GPU does, which gets the whole batch at once."""
    from mayfly.effects.library.anime import effect

    frames = torch.cat([portrait()[..., :250, :300], portrait()[..., 250:500, 100:400]]).float() / 255
    with torch.inference_mode():
        for style in STYLES:
            params = AnimeParameters(style=style, faces=0)
            together = effect._draw(frames, params, [[], []])
            torch.testing.assert_close(together, apply(frames, style=style, faces=0), atol=1e-4, rtol=0)


def test_input_is_left_alone_whatever_its_memory_format() -> None:
    planes = portrait().contiguous().float() / 255
    together = planes.contiguous(memory_format=torch.channels_last)
    before = planes.clone()
    torch.testing.assert_close(apply(planes), apply(together), atol=1e-5, rtol=0)
    assert torch.equal(planes, before)


def test_everything_at_zero_is_the_identity(runner: Runner) -> None:
    assert torch.equal(runner(portrait(), NOTHING), portrait())


@pytest.mark.parametrize(("side", "tolerance"), [(512, 0.002), (900, 0.002)])
def test_near_zero_is_near_the_identity(side: int, tolerance: float) -> None:
    """Detail too fine for the grid that large pictures are drawn on included."""
    frames = functional.interpolate(portrait().float() / 255, size=(side, side), mode="bilinear") * 0.8 + 0.1
    frames = frames + 0.06 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(13))
    frames = frames.clamp(0, 1)
    result = apply(frames, lines=0, flatness=0.001, shading=0, colour=0)
    assert float((result - frames).abs().mean()) < tolerance


def test_an_edge_gets_one_line_and_regions_get_none() -> None:
    frames = two_regions()
    line = ink(frames)[0, 0]
    profile = line[100]
    assert float(profile[95:105].max()) > 0.1
    assert float(profile[:90].max()) < 0.01
    assert float(profile[110:].max()) < 0.01
    # One stroke: what is dark lies together.
    dark = torch.nonzero(profile > 0.05).flatten()
    assert int(dark[-1] - dark[0]) + 1 == len(dark)
    assert float(line[20:180, 95:105].amax(1).std()) < 0.01


@pytest.mark.parametrize("kind", ["graded", "noisy", "blotchy"])
def test_no_lines_where_there_is_nothing_to_draw(kind: str) -> None:
    generator = torch.Generator().manual_seed(11)
    frames = torch.full((1, 3, 160, 200), 0.55)
    if kind == "graded":
        frames = frames + torch.linspace(-0.3, 0.3, 200)
    elif kind == "noisy":
        frames = frames + 0.02 * torch.randn(frames.shape, generator=generator)
    else:
        coarse = torch.randn((1, 1, 16, 20), generator=generator)
        frames = frames + 0.02 * functional.interpolate(coarse, size=(160, 200), mode="bicubic")
    line = ink(frames.clamp(0, 1))
    assert float((line > 0.05).float().mean()) < 0.002


def test_line_strength_width_and_detail() -> None:
    frames = portrait().float() / 255
    assert float((ink(frames, line_detail=1) > 0.05).sum()) > 1.5 * float((ink(frames, line_detail=0) > 0.05).sum())
    edge = two_regions()
    assert float((ink(edge, line_width=3) > 0.05).sum()) > 1.5 * float((ink(edge, line_width=0.5) > 0.05).sum())
    half = (apply(edge, lines=0) - apply(edge, lines=0.5)).mean()
    assert float(half) == pytest.approx(float(ink(edge).mean()) / 2, rel=0.02)


def test_lines_keep_the_hue_they_cross() -> None:
    drawn = apply(two_regions(), lines=1)
    red, _, blue = drawn[0, :, 100, 90:100].unbind()
    darkest = int(red.argmin())
    assert float(blue[darkest]) > 1.5 * float(red[darkest])


def test_flattening_calms_regions_and_keeps_the_edge() -> None:
    frames = two_regions(noise=0.04)
    flat = apply(frames, lines=0, shading=0, colour=0, flatness=1)
    for region in (slice(10, 80), slice(120, 190)):
        assert float(flat[..., 10:-10, region].var()) < 0.2 * float(frames[..., 10:-10, region].var()) + float(
            frames[..., 10:-10, region].mean((0, 2, 3)).var()
        )
        before, after = (image[..., 10:-10, region].std((0, 2, 3)) for image in (frames, flat))
        assert bool((after < 0.3 * before).all())
    jump = (flat[..., 104:108].mean((0, 2, 3)) - flat[..., 92:96].mean((0, 2, 3))).abs()
    truth = (frames[..., 104:108].mean((0, 2, 3)) - frames[..., 92:96].mean((0, 2, 3))).abs()
    assert bool((jump[:2] > 0.93 * truth[:2]).all())
    middle = flat[0, 0, 10:-10].mean(0).diff().abs().argmax()
    assert abs(int(middle) - 99) <= 1


def test_flatness_grows_with_its_parameter() -> None:
    frames = portrait()[..., 300:400, 60:160].float() / 255
    fine = [
        float((image - functional.avg_pool2d(image, 5, 1, 2))[..., 5:-5, 5:-5].abs().mean())
        for image in (frames, *(apply(frames, lines=0, shading=0, colour=0, flatness=value) for value in (0.1, 0.4, 1)))
    ]
    assert fine == sorted(fine, reverse=True)
    assert fine[-1] < 0.7 * fine[0]


def shaded_ball(side: int = 300) -> torch.Tensor:
    """(1, 3, side, side): a lit ball on a plain ground."""
    axis = torch.linspace(-1.5, 1.5, side)
    rows, columns = torch.meshgrid(axis, axis, indexing="ij")
    inside = (1 - rows**2 - columns**2).clamp_min(0)
    light = (0.5 * (inside.sqrt() - 0.6 * rows - 0.6 * columns)).clamp(0, 1) * 0.6 + 0.3
    return torch.where(inside > 0, light, torch.tensor(0.75)).expand(1, 3, side, side).contiguous()


def test_shading_cuts_light_into_tones() -> None:
    """Light that fell evenly over the ball falls in few steep places, with level tones between."""
    frames = shaded_ball()
    axis = torch.linspace(-1.5, 1.5, 300)
    on_ball = (axis[:, None] ** 2 + axis[None, 1:] ** 2) < 0.8
    spread = []
    for shading in (0, 0.5, 1):
        falls = apply(frames, lines=0, colour=0, shading=shading)[0, 1].diff(dim=1)[on_ball].abs()
        spread.append(float(falls.std() / falls.mean()))
    assert spread == sorted(spread)
    assert spread[-1] > 1.4 * spread[0]


def test_more_shades_are_finer_shades() -> None:
    frames = shaded_ball()
    smooth, few, many = (
        apply(frames, lines=0, colour=0, shading=shading, shades=shades)
        for shading, shades in ((0, 3), (0.9, 2), (0.9, 6))
    )
    assert float((many - smooth).abs().mean()) < float((few - smooth).abs().mean())


def test_a_sky_gets_no_contours() -> None:
    """A gentle swell of light keeps its slopes, where cut tones level some and make others far steeper."""
    swell = 0.65 + 0.07 * torch.sin(torch.arange(500) * (2 * torch.pi / 330))
    sky = swell.view(1, 1, 500, 1) * torch.tensor([0.8, 0.9, 1.0]).view(1, 3, 1, 1)
    frames = sky.expand(1, 3, 500, 500)
    source, drawn = (image.diff(dim=2)[:, :, 20:-20].abs() for image in (frames, apply(frames, shading=1)))
    assert float(drawn.max()) < 1.8 * float(source.max())
    assert float(drawn.mean()) > 0.85 * float(source.mean())


def test_small_gaps_as_in_letters_stay_open() -> None:
    frames = torch.full((1, 3, 400, 400), 0.85)
    frames[..., 150:250, 198:202] = 0.15
    frames[..., 190:194, 198:202] = 0.85
    column = apply(frames)[0, 1, :, 200]
    assert float(column[190:194].min()) > 0.7
    assert float(torch.cat([column[180:190], column[194:204]]).max()) < 0.15


def test_colour_makes_colours_richer_and_leaves_grey() -> None:
    skin = torch.tensor([0.78, 0.60, 0.52]).view(1, 3, 1, 1).expand(1, 3, 40, 40)
    plain, rich = (apply(skin, colour=value)[0, :, 20, 20] for value in (0, 1))
    assert float(rich[0] - rich[2]) > 1.1 * float(plain[0] - plain[2])
    # Warm skin stays warm.
    assert float(rich[0]) > float(rich[1]) > float(rich[2])
    grey = apply(torch.full((1, 3, 40, 40), 0.5), colour=1)
    assert float((grey.amax(1) - grey.amin(1)).max()) < 2e-3


def test_a_picture_looks_alike_at_every_size() -> None:
    """Drawn large and shrunk, or drawn small: the drawings differ far less than either does from the source."""
    large = functional.interpolate(portrait().float() / 255, size=(1200, 1200), mode="bicubic").clamp(0, 1)
    small = functional.interpolate(large, size=(400, 400), mode="bilinear", antialias=True)
    drawn_large = functional.interpolate(apply(large), size=(400, 400), mode="bilinear", antialias=True)
    drawn_small = apply(small)
    change = float((drawn_small - small).abs().mean())
    assert float((drawn_large - drawn_small).abs().mean()) < 0.5 * change
    amount = [float(ink(image).mean()) for image in (large, small)]
    assert amount[0] == pytest.approx(amount[1], rel=0.35)


def test_grain_does_not_flicker() -> None:
    frames = portrait().float() / 255
    grain = [0.015 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    first, second = ((frames + noise).clamp(0, 1) for noise in grain)
    source = float((first - second).abs().mean())
    assert float((apply(first) - apply(second)).abs().mean()) < 0.6 * source
