"""Says what is in a picture and what would suit it: faces' places, sharpness, light, noise, colours, framing."""

from effects.library.analysis.effect import Analyse as Analyse
from effects.library.analysis.effect import Analysis as Analysis
from effects.library.analysis.effect import AnalysisParameters as AnalysisParameters
