"""Silence inside a stretch is found where it begins and ends."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import gaps

RATE = 16_000


def sound(seconds: float, level: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, level, round(seconds * RATE)).astype(np.float32)


@pytest.mark.parametrize("pause", [0.1, 3e-4])
def test_black_is_found_between_programme_that_may_itself_be_quiet(pause):
    dub = np.concatenate([sound(5, pause), np.zeros(3 * RATE, np.float32), sound(5, pause, 1)])
    found = gaps.silence_in(dub, 5 * RATE - 2000, 8 * RATE + 2000, reach=RATE)
    assert found is not None
    assert np.abs(np.subtract(found, (5 * RATE, 8 * RATE))).max() <= RATE // 100


def test_sound_holds_no_silence():
    assert gaps.silence_in(sound(10, 0.1), RATE, 9 * RATE, reach=RATE) is None


def test_a_short_pause_is_not_what_most_of_a_stretch_consists_of():
    dub = np.concatenate([sound(3, 0.1), np.zeros(RATE, np.float32), sound(3, 0.1, 1)])
    assert gaps.silence_in(dub, RATE, 6 * RATE, reach=RATE) is None
