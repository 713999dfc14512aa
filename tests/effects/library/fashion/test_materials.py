"""A cloth is known by its colour in light and in shadow."""

import numpy as np

from mayfly.effects.library.fashion import materials


def lit(colour, count=400, seed=0):
    """(count, 1, 3) OKLab of one colour under half to full light, with some noise."""
    noise = np.random.default_rng(seed)
    light = noise.uniform(0.65, 1, (count, 1, 1))
    return (np.array(colour) * light + noise.normal(0, 0.004, (count, 1, 3))).astype(np.float32)


ORANGE, BLUE, WHITE = (0.65, 0.13, 0.1), (0.5, -0.03, -0.15), (0.95, 0.0, 0.01)


def test_shades_of_one_cloth_are_near_and_others_far():
    cloth = materials.fit(materials.features(lit(ORANGE))[:, 0])
    assert np.percentile(materials.distance(materials.features(lit(ORANGE, seed=1)), cloth), 95) < 3
    for other in (BLUE, WHITE):
        assert materials.distance(materials.features(lit(other)), cloth).min() > 4


def test_most_of_it_decides_and_the_frame_before_is_kept():
    samples = np.concatenate([materials.features(lit(BLUE, 500)), materials.features(lit(ORANGE, 300))])[:, 0]
    blue = materials.dominant(samples)
    assert materials.distance(materials.features(lit(BLUE)), blue).mean() < 2
    orange = materials.dominant(samples, materials.fit(samples[500:]))
    assert materials.distance(materials.features(lit(ORANGE)), orange).mean() < 2


def test_the_same_samples_give_the_same_cloth():
    samples = materials.features(lit(BLUE))[:, 0]
    assert np.array_equal(materials.dominant(samples).centre, materials.dominant(samples).centre)
