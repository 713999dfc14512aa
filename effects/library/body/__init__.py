"""Changes a body's shape: waist, hips, chest, shoulders, arms, legs, head, posture; the background stays in place."""

from mayfly.effects.library.body.effect import Body as Body
from mayfly.effects.library.body.effect import BodyParameters as BodyParameters
