"""The styles of anime, its faces, its video and its installed generators: what a person would see in each."""

import pytest
import torch
from skimage import data
from torch.nn import functional

from mayfly.effects import registry
from mayfly.effects.errors import UnknownModel
from mayfly.effects.library.anime import Anime, AnimeParameters
from mayfly.effects.models import install, installed
from mayfly.effects.runner import Runner
from mayfly.effects.vision import face_points
from tests.effects import checkpoints

STYLES = ("cel", "ink", "watercolour")
FACE = (slice(None), slice(None), slice(60, 190), slice(165, 285))  # of the astronaut


@pytest.fixture(scope="module")
def runner():
    return Runner(Anime())


@pytest.fixture(scope="module")
def portrait():
    return torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None]


@pytest.fixture(scope="module")
def drawn(runner, portrait):
    """The portrait in every style, (1, 3, 512, 512) in 0…1."""
    return {style: runner(portrait, params(style=style)).float() / 255 for style in STYLES}


def params(**given):
    return registry.parameters("anime", given)


def saturation(picture):
    return (picture.amax(1) - picture.amin(1)).mean().item()


def coffee():
    return torch.from_numpy(data.coffee()).permute(2, 0, 1)[None]


def test_the_styles_differ_and_show_the_picture(drawn, portrait):
    source = portrait.float() / 255
    for style, result in drawn.items():
        assert result.isfinite().all()
        small = [functional.avg_pool2d(image.mean(1, keepdim=True), 16).flatten() for image in (source, result)]
        assert torch.corrcoef(torch.stack(small))[0, 1] > 0.7, style
    assert (drawn["cel"] - drawn["watercolour"]).abs().mean() > 0.05
    assert (drawn["cel"] - drawn["ink"]).abs().mean() > 0.1


def test_ink_is_ink_on_paper(drawn):
    result = drawn["ink"]
    light = result.mean(1)
    assert saturation(result) < 0.06
    # Paper and ink, and little between them that is no hatching.
    assert (light > 0.8).float().mean() > 0.4
    assert (light < 0.3).float().mean() > 0.1


def test_ink_takes_colour_when_asked(runner, portrait):
    coloured = runner(portrait, params(style="ink", colour=1)).float() / 255
    assert saturation(coloured) > 0.12


def test_ink_hatches_what_lies_in_shadow(runner):
    """Grey gets strokes, darker grey more of them, light grey none, black is filled."""
    covered = []
    for level in (0.85, 0.42, 0.25, 0.05):
        flat = torch.full((1, 3, 200, 200), int(level * 255), dtype=torch.uint8)
        light = runner(flat, params(style="ink")).float().mean(1) / 255
        covered.append((light < 0.5).float().mean().item())
    assert covered[0] < 0.01
    assert covered[0] < covered[1] < covered[2] < covered[3]
    assert covered[3] > 0.95


def test_shades_are_layers_of_hatching(runner):
    flat = torch.full((1, 3, 200, 200), 70, dtype=torch.uint8)
    few, many = (
        (runner(flat, params(style="ink", shades=shades)).float().mean(1) < 128).float().mean() for shades in (2, 6)
    )
    assert many > 1.2 * few


def test_watercolour_is_light_and_has_grain_that_is_fixed_to_the_picture(runner, drawn, portrait):
    assert drawn["watercolour"].mean() > portrait.float().mean() / 255
    flat = torch.tensor([90, 130, 170], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 300, 300)
    first = runner(flat, params(style="watercolour"))
    assert first.float().std(dim=(2, 3)).min() > 2
    assert torch.equal(first, runner(flat, params(style="watercolour")))
    # Another picture lies on the same paper.
    other = runner(flat.flip(1), params(style="watercolour"))
    grains = torch.stack([image.float().mean(1).flatten() for image in (first, other)])
    assert torch.corrcoef(grains)[0, 1] > 0.9


def test_watercolour_gathers_at_the_edge_of_a_wash(runner):
    frames = torch.full((1, 3, 240, 240), 235, dtype=torch.uint8)
    frames[:, :, :, :120] = torch.tensor([80, 110, 170], dtype=torch.uint8).view(1, 3, 1, 1)
    light = runner(frames, params(style="watercolour", lines=0)).float().mean(1)[0]
    across = light[30:210].mean(0)
    assert across[108:120].min() < across[40:90].mean() - 8


def test_watercolour_runs_softer_than_its_source(runner):
    source = coffee()
    result = runner(source, params(style="watercolour", lines=0))

    def fine(image):
        grey = image.float().mean(1, keepdim=True)
        return (grey - functional.avg_pool2d(grey, 3, 1, 1, count_include_pad=False))[..., 230:380, :200].abs().mean()

    assert fine(result) < 0.8 * fine(source)


@pytest.mark.parametrize("style", STYLES)
def test_strength_blends_from_the_picture_to_the_drawing(runner, style):
    frames = coffee()[..., 100:200, 200:320]
    none, half, full = (runner(frames, params(style=style, strength=strength)).float() for strength in (0, 0.5, 1))
    assert torch.equal(none, frames.float())
    torch.testing.assert_close(half, (frames + full) / 2, atol=1.01, rtol=0)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 2), (37, 1), (61, 83), (701, 699)])
def test_any_size(runner, style, size):
    frames = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(9))
    result = runner(frames, params(style=style))
    assert result.shape == frames.shape


@pytest.mark.parametrize("style", STYLES)
def test_a_picture_looks_alike_at_every_size(runner, style):
    """Paper, hatching and strokes grow with the picture."""
    large = functional.interpolate(coffee().float(), size=(800, 1200), mode="bicubic").clamp(0, 255).to(torch.uint8)
    small = functional.interpolate(large.float(), size=(400, 600), mode="area").to(torch.uint8)
    shrunk = functional.interpolate(runner(large, params(style=style)).float(), size=(400, 600), mode="area")
    assert (functional.avg_pool2d(shrunk - runner(small, params(style=style)), 8)).abs().mean() < 8


def lid_and_skin(faces, runner, portrait):
    """How dark a style draws the upper lids, and how restless the cheeks are, in levels."""
    result = runner(portrait, params(faces=faces)).float().mean(1)[0]
    face = runner.effect._finder.faces(portrait[0])[0]
    at = face.points.astype(int)
    lids = [result[at[i][1], at[i][0]].item() for i in face_points.RIGHT_UPPER_LID[2:7]]
    x, y = at[face_points.RIGHT_CHEEK]
    cheek = result[y - 8 : y + 8, x - 8 : x + 8]
    return sum(lids) / len(lids), cheek.diff(dim=1).diff(dim=1).abs().mean().item()


def test_faces_get_lines_at_the_eyes_and_clean_skin(runner, portrait):
    lid_without, skin_without = lid_and_skin(0, runner, portrait)
    lid_with, skin_with = lid_and_skin(1, runner, portrait)
    assert lid_with < lid_without - 10
    assert skin_with < 0.6 * skin_without


def test_the_mouth_gets_a_line_however_faint_it_is(runner, portrait):
    portrait = portrait // 5 + 190
    face = runner.effect._finder.faces(portrait[0])[0]
    at = face.points[list(face_points.UPPER_LIP_BOTTOM[2:-2])].astype(int)
    without, with_faces = (
        runner(portrait, params(style="ink", faces=faces)).float().mean(1)[0][at[:, 1], at[:, 0]].mean()
        for faces in (0, 1)
    )
    assert with_faces < without - 30


@pytest.mark.parametrize("style", STYLES)
def test_only_the_face_is_treated_as_a_face(runner, portrait, style):
    with_faces, without = (runner(portrait, params(style=style, faces=faces)) for faces in (1, 0))
    difference = (with_faces.float() - without).abs().mean(1)
    assert difference[:, 60:190, 165:285].mean() > 1
    assert difference[:, 260:, :].mean() < 0.05


@pytest.mark.parametrize("style", STYLES)
def test_without_a_face_nothing_happens(runner, style):
    frames = coffee()[..., ::2, ::2]
    assert torch.equal(runner(frames, params(style=style, faces=1)), runner(frames, params(style=style, faces=0)))


def test_batch_equals_single_runs_with_faces(runner, portrait):
    frames = torch.cat([portrait, portrait.flip(3)])[..., :256, 100:412]
    for style in STYLES:
        together = runner(frames, params(style=style))
        assert torch.equal(together, torch.cat([runner(frame, params(style=style)) for frame in frames.split(1)]))


def flicker(frames):
    return frames.float().diff(dim=0).abs().mean().item()


def grainy(frames, seed=0, deviation=5.0):
    """uint8 frames with grain of so many levels."""
    generator = torch.Generator().manual_seed(seed)
    noise = deviation * torch.randn(frames.shape, generator=generator)
    return (frames.float() + noise).round().clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("deviation", [2.0, 8.0])
def test_a_still_scene_with_grain_does_not_flicker(runner, portrait, style, deviation):
    still = functional.interpolate(portrait.float(), size=(192, 192), mode="area").to(torch.uint8)
    given = grainy(still.expand(7, -1, -1, -1), deviation=deviation)
    shown = runner.video(params(style=style))(given)
    assert flicker(shown[3:]) <= 1.3 * flicker(given[3:])


def moving(count=8):
    """(N, 3, 200, 300) uint8: a bright square on a dark, textured ground, 15 pixels a frame."""
    ground = coffee()[..., 100:300, 0:300] // 3
    frames = ground.repeat(count, 1, 1, 1)
    for index, frame in enumerate(frames):
        left = 20 + 15 * index
        frame[:, 70:130, left : left + 60] = torch.tensor([220, 180, 90], dtype=torch.uint8).view(3, 1, 1)
    return frames


@pytest.mark.parametrize("style", STYLES)
def test_what_moves_leaves_no_trail(runner, style):
    """The last frame of a video is as far from the last frame drawn alone behind the square as it is elsewhere."""
    given = grainy(moving(), deviation=2.0)
    shown = runner.video(params(style=style))(given)[-1:].float()
    alone = runner(moving()[-1:], params(style=style)).float()
    left = 20 + 15 * 7
    difference = (shown - alone).abs().mean(1)[0]
    trail, elsewhere = difference[72:128, 25 : left - 10], difference[140:195, 25 : left - 10]
    assert trail.mean() < 1.5 * elsewhere.mean() + 3


@pytest.mark.parametrize("style", STYLES)
def test_a_cut_begins_anew(runner, style):
    before = coffee()[..., 100:300, 0:300].expand(4, -1, -1, -1)
    after = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None][..., 0:200, 100:400]
    shown = runner.video(params(style=style))(grainy(torch.cat([before, after])))
    alone = runner(grainy(torch.cat([before, after]))[-1:], params(style=style))
    assert (shown[-1:].float() - alone).abs().mean() < 1


def test_a_video_in_parts_is_the_video_and_identity_stays_identity(runner):
    given = grainy(moving(6))
    whole = runner.video(params())(given)
    video = runner.video(params())
    assert torch.equal(torch.cat([video(part) for part in given.split([1, 3, 2])]), whole)
    assert torch.equal(runner.video(params(strength=0))(given), given)


def test_declared_context_is_that_of_the_steadying():
    from mayfly.effects.shared import temporal

    assert registry.declaration("anime").temporal_context >= temporal.CONTEXT


@pytest.fixture
def folder(folder, tmp_path):
    source = checkpoints.animegan(tmp_path / "published.pth")
    install.add(source, folder, name="paprika", version="1", licence="MIT", origin="this test")


@pytest.mark.parametrize("size", [(1, 1), (33, 47), (64, 96)])
def test_an_installed_generator_draws(folder, runner, size):
    frames = torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(4))
    result = runner(frames, params(model="paprika"))
    assert result.shape == frames.shape
    given = frames.float() / 255
    expected = installed.get("paprika", torch.device("cpu"), "draw")(given[:1])
    torch.testing.assert_close(result[:1].float() / 255, expected, atol=0.003, rtol=0)
    assert torch.equal(runner(frames, params(model="paprika", strength=0)), frames)


def test_a_generator_draws_large_pictures_on_a_smaller_grid(folder, runner, monkeypatch):
    from mayfly.effects.library.anime import generator

    frames = coffee()
    whole = runner(frames, params(model="paprika")).float()
    monkeypatch.setattr(generator, "_WORK_SIDE", 300)
    small = runner(frames, params(model="paprika")).float()
    assert small.shape == frames.shape
    assert functional.avg_pool2d(small - whole, 16).abs().mean() < 0.25 * whole.std()


def test_an_unknown_generator_is_named_by_its_code(runner):
    with pytest.raises(UnknownModel):
        runner(coffee(), params(model="absent"))


def test_parameters_of_styles():
    assert AnimeParameters().style == "cel"
    assert not AnimeParameters(strength=0).draws
    assert AnimeParameters(lines=0, flatness=0, shading=0, colour=0, model="paprika").draws
