"""Turns pictures into drawings: animation cels, ink on paper, watercolour."""

from mayfly.effects.library.anime.effect import Anime as Anime
from mayfly.effects.library.anime.parameters import AnimeParameters as AnimeParameters
