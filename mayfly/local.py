"""Applies an effect here, in this process: nothing is uploaded, queued or kept."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mayfly.client.errors import InvalidTarget
from mayfly.client.source import opened
from mayfly.effects import registry
from mayfly.effects.contract import Media, Parameters
from mayfly.media import sniff
from mayfly.media.errors import WrongKind
from mayfly.media.limits import Limits
from mayfly.media.output import Output
from mayfly.settings import Settings
from mayfly.tasks import inline, limits, models

if TYPE_CHECKING:
    from mayfly.effects.runner import Runner

_SUFFIXES = {
    ".jpg": sniff.JPEG,
    ".jpeg": sniff.JPEG,
    ".png": sniff.PNG,
    ".webp": sniff.WEBP,
    ".mp4": sniff.MP4,
    ".mov": sniff.MOV,
    ".mkv": sniff.MKV,
}


def apply(
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    effect: str,
    params: Mapping[str, Any] | None = None,
    *,
    settings: Settings | None = None,
    device: str = "cpu",
    output: Output | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> None:
    """Apply an effect to one file; needs what a worker's install holds. The result of one that reports is JSON.

    Args:
        source: the picture or video.
        target: the file to write, which appears whole or not at all; its suffix chooses the format.
        effect: the effect's name; one that runs on the user's device as well.
        params: its parameters.
        settings: limits and qualities; the environment's by default.
        device: torch's name of the device.
        output: codec, quality and more of a video's result; by default the settings' quality.
        on_progress: gets the units that are done, and how many there are; a video's units are frames. An exception
            from it ends the work and is passed on.

    Raises:
        MayflyError: `code` and text say why; no target is written.
    """
    settings = settings or Settings()
    registry.load(settings.effect_modules)
    inline.use()
    declared = registry.declaration(effect)
    validated = registry.parameters(effect, params or {})
    bounds = limits.of(settings)
    path, wanted = Path(source), _SUFFIXES.get(Path(target).suffix.lower())
    with opened(path) as (stream, _):
        found = sniff.sniff(stream.read(sniff.HEAD_BYTES))
    if found.kind not in declared.media:
        raise WrongKind(f"this effect takes no {found.kind}: give it {' or '.join(sorted(declared.media))}")
    validated.check_media(Media(found.kind))
    if declared.report:
        if Path(target).suffix.lower() != ".json":
            raise InvalidTarget("the result is a report: name a target that ends in .json")
        with _whole(Path(target)) as part:
            found_out = report(path, effect, params, settings=settings, device=device)
            part.write_text(json.dumps(found_out, indent=2, ensure_ascii=False) + "\n")
            on_progress(1, 1)
        return
    if wanted is None or wanted.kind != found.kind:
        fitting = ", ".join(suffix for suffix, format_ in _SUFFIXES.items() if format_.kind == found.kind)
        raise InvalidTarget(f"the result is {found.kind} like the source: name a target that ends in one of {fitting}")
    models.use(settings)
    runner = _runner(effect, device)
    with _whole(Path(target)) as part:
        if found.kind == "image":
            _image(path, part, wanted, runner, validated, bounds, settings)
            on_progress(1, 1)
        else:
            _video(path, part, wanted, runner, validated, bounds, output or _default(settings), on_progress)


def report(
    source: str | os.PathLike[str],
    effect: str,
    params: Mapping[str, Any] | None = None,
    *,
    settings: Settings | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """What an effect that reports says of a picture, as plain data; arguments and errors as `apply`."""
    settings = settings or Settings()
    registry.load(settings.effect_modules)
    inline.use()
    if not registry.declaration(effect).report:
        raise InvalidTarget("this effect makes a picture or video: use apply, with a file for its result")
    from mayfly.media.image import codec

    validated = registry.parameters(effect, params or {})
    with opened(Path(source)):
        pass
    picture = codec.decode(Path(source), limits.of(settings))
    return _runner(effect, device).report(picture.rgb, validated).model_dump(mode="json")


def _runner(effect: str, device: str) -> Runner:
    from mayfly.effects.runner import Runner

    return Runner(registry.find(effect)(), device)


def _default(settings: Settings) -> Output:
    return Output(quality=settings.video_crf, preset=settings.video_preset)


@contextlib.contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A name beside the target that becomes the target's when the block succeeds, and else is gone."""
    if target.is_dir():
        raise InvalidTarget("the target is a folder: name a file")
    part = target.with_name(f".{uuid.uuid4().hex}.part")
    try:
        # Before the work, and not after it, is when to say that nothing can be written there.
        part.touch()
    except OSError as error:
        raise InvalidTarget(f"the target cannot be written: {error.strerror}") from None
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _image(
    source: Path,
    target: Path,
    wanted: sniff.Format,
    runner: Runner,
    params: Parameters,
    bounds: Limits,
    settings: Settings,
) -> None:
    from mayfly.media.image import codec
    from mayfly.media.video import probe

    scale = runner.scale(params)
    _, size = probe.look(source, bounds)
    if size is not None:
        bounds.check_result(wanted, size[0] * scale, size[1] * scale)
    picture = codec.decode(source, bounds)
    bounds.check_result(wanted, picture.rgb.shape[-1] * scale, picture.rgb.shape[-2] * scale)
    result = picture.replaced(runner(picture.rgb[None], params)[0].cpu())
    target.write_bytes(codec.encode(result, wanted, quality=settings.image_quality))


def _video(
    source: Path,
    target: Path,
    wanted: sniff.Format,
    runner: Runner,
    params: Parameters,
    bounds: Limits,
    output: Output,
    on_progress: Callable[[int, int], None],
) -> None:
    from mayfly.media.video import containers, probe, video

    info = probe.probe_video(source, bounds)
    scale = runner.scale(params)
    bounds.check_result(wanted, info.width * scale, info.height * scale)
    if not containers.holds(wanted, info):
        raise InvalidTarget(
            f"{wanted.suffix} cannot hold this sound or these subtitles as they are: name a target that ends in .mkv"
        )
    video.transform(
        source,
        target,
        runner.video(params),
        info=info,
        batch=runner.effect.declaration.batch,
        limits=bounds,
        on_progress=lambda done: on_progress(done, info.frame_count),
        container=wanted,
        output=output,
        depth=runner.depth,
        pinned=runner.pinned,
        timeout=float("inf"),
    )
