"""Retouches portraits on the device: calm skin that keeps its pores, spots, eyes, teeth, lips, light and form."""

from mayfly.effects.library.retouch.effect import Retouch as Retouch
from mayfly.effects.library.retouch.effect import RetouchParameters as RetouchParameters
