"""Recolours what a person wears, or makes it of another fabric or pattern; folds, skin, hair and background stay."""

from mayfly.effects.library.fashion.effect import Fashion as Fashion
from mayfly.effects.library.fashion.effect import FashionParameters as FashionParameters
