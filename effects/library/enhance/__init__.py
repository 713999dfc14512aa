"""Enlarges pictures with more detail than interpolation gives, restores damaged ones, and lights dark ones."""

from mayfly.effects.library.enhance.effect import Enhance as Enhance
from mayfly.effects.library.enhance.effect import EnhanceParameters as EnhanceParameters
