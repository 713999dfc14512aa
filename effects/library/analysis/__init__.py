"""Says what is in a picture and what would suit it: faces' places, sharpness, light, noise, colours, framing."""

from mayfly.effects.library.analysis.effect import Analyse as Analyse
from mayfly.effects.library.analysis.effect import Analysis as Analysis
from mayfly.effects.library.analysis.effect import AnalysisParameters as AnalysisParameters
