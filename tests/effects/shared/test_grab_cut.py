"""What seeds leave open is settled by colours, always the same way."""

import cv2
import numpy as np

from mayfly.effects.shared import grab_cut


def half_red(side=40):
    picture = np.random.default_rng(0).integers(0, 60, (side, side, 3), dtype=np.uint8)
    picture[:, : side // 2, 0] += 180
    return picture


def test_colours_settle_what_is_open():
    labels = np.full((40, 40), cv2.GC_PR_BGD, np.uint8)
    labels[:, :4], labels[:, -4:] = cv2.GC_FGD, cv2.GC_BGD
    given = labels.copy()
    found = grab_cut.settled(half_red(), labels, rounds=2)
    assert found.dtype == np.uint8 and set(np.unique(found)) == {0, 1}
    assert found[:, :20].all() and not found[:, 20:].any()
    assert np.array_equal(labels, given)


def test_it_does_not_depend_on_what_ran_before():
    clouds = cv2.GaussianBlur(np.random.default_rng(1).normal(128, 60, (60, 60, 3)), (0, 0), 2)
    clouds = cv2.normalize(clouds, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    labels = np.full((60, 60), cv2.GC_PR_FGD, np.uint8)
    labels[:30], labels[0], labels[-1] = cv2.GC_PR_BGD, cv2.GC_BGD, cv2.GC_FGD
    results = []
    for seed in range(5, 9):
        cv2.setRNGSeed(seed)
        results.append(grab_cut.settled(clouds, labels, rounds=1))
    assert all(np.array_equal(result, results[0]) for result in results)


def test_what_is_likely_is_foreground_without_a_cut():
    labels = np.array([[cv2.GC_BGD, cv2.GC_FGD, cv2.GC_PR_BGD, cv2.GC_PR_FGD]], np.uint8)
    assert grab_cut.foreground(labels).tolist() == [[0, 1, 0, 1]]
