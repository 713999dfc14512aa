"""The filter itself: against the paper's formulas, on both kinds of arrays."""

import math

import numpy as np
import torch

from mayfly.effects.vision import one_euro

SETTINGS = one_euro.Settings(still=1.0, agility=0.5, speed=1.0)
STEP = 1 / 30


def published(values):
    """Algorithm 1 of Casiez et al., one number at a time."""

    def alpha(cutoff):
        return 1 / (1 + 1 / (2 * math.pi * cutoff) / STEP)

    value, speed, out = values[0], 0.0, [values[0]]
    for given in values[1:]:
        speed = alpha(1.0) * (given - value) / STEP + (1 - alpha(1.0)) * speed
        share = alpha(1.0 + 0.5 * abs(speed))
        value = share * given + (1 - share) * value
        out.append(value)
    return out


def run(values):
    signal = one_euro.begin(values[0])
    out = [signal.value]
    for value in values[1:]:
        signal = one_euro.apply_next(signal, value, SETTINGS, step=STEP)
        out.append(signal.value)
    return out


def test_it_is_the_published_filter():
    values = np.random.default_rng(0).normal(0, 1, (50, 2)).cumsum(0)
    expected = np.stack([published(column) for column in values.T.tolist()], 1)
    assert np.allclose(run(list(values)), expected)
    assert np.allclose(torch.stack(run(list(torch.from_numpy(values)))).numpy(), expected)


def test_frames_to_settle_are_enough_and_not_one_too_many():
    count = one_euro.frames_to_settle(SETTINGS, step=STEP, remains=0.02)
    still = one_euro.Settings(still=1.0, agility=0.0)
    signal, left = one_euro.begin(np.ones(1)), []
    for _ in range(count):
        signal = one_euro.apply_next(signal, np.zeros(1), still, step=STEP)
        left.append(signal.value[0])
    assert left[-1] <= 0.02 < left[-2]
