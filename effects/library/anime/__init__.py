"""Turns pictures into drawings: animation cels, ink on paper, watercolour."""

from effects.library.anime.effect import Anime as Anime
from effects.library.anime.parameters import AnimeParameters as AnimeParameters
