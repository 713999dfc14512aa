"""Cuts a person, a face, hair, skin or the background out of a picture; blurs or replaces the rest; shows masks."""

from mayfly.effects.library.segment.effect import Segment as Segment
from mayfly.effects.library.segment.effect import SegmentParameters as SegmentParameters
