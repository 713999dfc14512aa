"""Gives faces another expression: smile, frown, mouth, eyes, brows, gaze and a small turn of the head."""

from mayfly.effects.library.expression.effect import Expression as Expression
from mayfly.effects.library.expression.effect import ExpressionParameters as ExpressionParameters
