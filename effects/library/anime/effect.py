"""Turns pictures into drawings: animation cels, ink on paper, watercolour."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mayfly.effects import registry
from mayfly.effects.contract import Declaration, Effect, Tag
from mayfly.effects.lazy import torch
from mayfly.effects.library.anime.parameters import AnimeParameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from mayfly.effects.shared.temporal import TemporalState
    from mayfly.effects.vision.smoothing import FaceTracks
    from mayfly.effects.vision.types import Face

# The least face that is searched for, as a share of the picture's longer side; smaller ones have no room for lines.
_LEAST_FACE = 0.1


@registry.register
class Anime(Effect[AnimeParameters]):
    """Each style on OKLab or luma, all radii relative to the picture's size."""

    declaration = Declaration(
        name="anime",
        summary="Redraws the picture as hand-painted animation, as an ink drawing or as a watercolour.",
        parameters=AnimeParameters,
        neutral={"strength": 0},
        tag=Tag.GPU,
        batch=4,
        # mayfly.effects.shared.temporal.CONTEXT, which cannot be imported without torch.
        temporal_context=10,
    )

    def setup(self, device: torch.device) -> None:
        from mayfly.effects.vision.finder import Finder

        self._finder = Finder()

    def working_bytes(self, params: AnimeParameters) -> int:
        return 220

    def apply(self, frames: Tensor, params: AnimeParameters) -> Tensor:
        if not params.draws:
            return frames.clone()
        return self._drawn(frames, params, [self._faces(frame, params) for frame in frames])

    def begin(self, params: AnimeParameters) -> _State:
        return _State(None, None)

    def apply_next(self, frames: Tensor, params: AnimeParameters, state: _State) -> tuple[Tensor, _State]:
        from mayfly.effects.shared import temporal
        from mayfly.effects.vision import smoothing

        if not params.draws:
            return frames.clone(), state
        steady, seen = temporal.steadied(frames, state.seen)
        tracks, faces = state.tracks, []
        for frame in steady:
            found = self._faces(frame, params)
            if params.finds_faces:
                tracks, found = smoothing.track_faces(tracks, frame, found)
            faces.append(found)
        drawn = self._drawn(steady, params.model_copy(update={"strength": 1.0}), faces)
        if params.strength < 1:
            drawn = torch.lerp(frames, drawn, params.strength)
        return drawn, _State(seen, tracks)

    def _faces(self, frame: Tensor, params: AnimeParameters) -> list[Face]:
        return self._finder.faces(frame, smallest=_LEAST_FACE) if params.finds_faces else []

    def _drawn(self, frames: Tensor, params: AnimeParameters, faces: Sequence[Sequence[Face]]) -> Tensor:
        if frames.device.type != "cpu":
            return _draw(frames, params, faces)
        # One frame at a time stays in the CPU's caches and needs the least memory.
        result = torch.empty_like(frames)
        for index, frame in enumerate(frames.split(1)):
            result[index] = _draw(frame, params, faces[index : index + 1])[0]
        return result


@dataclasses.dataclass(frozen=True)
class _State:
    """What is remembered of a video: its still parts, and where its faces are."""

    seen: TemporalState | None
    tracks: FaceTracks | None


def _draw(frames: Tensor, params: AnimeParameters, found: Sequence[Sequence[Face]]) -> Tensor:
    from mayfly.effects.library.anime import canvas, cel, faces, generator, ink, watercolour
    from mayfly.effects.models import installed

    if params.model:
        drawn = generator.draw(frames, installed.get(params.model, frames.device, installed.DRAW))
    else:
        prepared = canvas.prepare(frames)
        features = faces.found(prepared, found, params.faces, line_width=params.line_width)
        if features is not None:
            prepared = faces.cleaned(prepared, features, found)
        draw = {"cel": cel.draw, "ink": ink.draw, "watercolour": watercolour.draw}[params.style]
        drawn = draw(prepared, params)
    return drawn if params.strength == 1 else torch.lerp(frames, drawn, params.strength)
