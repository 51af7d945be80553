"""Swapping master and dub inverts the answer, whatever it is."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis.compare import compare
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import DEFAULT_METHODS
from tests.accuracy.swap import broken, law_of
from tests.analysis.signals import programme, shifted, track

MUSIC = programme(60.0, seed=121)
LENGTH = 50 * ANALYSIS_RATE_HZ
MASTER = track(MUSIC[:LENGTH])
VOICE = 0.7 * programme(50.0, seed=122)


def played_at(ratio: float) -> np.ndarray:
    at = np.arange(int(48 * ANALYSIS_RATE_HZ / ratio)) * ratio
    return np.interp(at, np.arange(MUSIC.size), MUSIC).astype(np.float32)


@pytest.mark.parametrize(
    "dub",
    [
        shifted(MUSIC, 3.21, LENGTH) + VOICE,
        played_at(25 / 24),
        played_at(1 + 120e-6),
        np.concatenate([MUSIC[: 20 * ANALYSIS_RATE_HZ], MUSIC[27 * ANALYSIS_RATE_HZ :]]),
        programme(40.0, seed=123),
    ],
    ids=["offset", "speed", "drift", "cut", "unrelated"],
)
def test_the_answers_are_each_others_inverse(dub):
    assert law_of(MASTER, track(dub))[0] is None


def test_a_broken_law_is_noticed():
    one = compare(MASTER, track(shifted(MUSIC, 1.0, LENGTH)), DEFAULT_METHODS)
    other = compare(track(shifted(MUSIC, 1.002, LENGTH)), MASTER, DEFAULT_METHODS)
    nothing = compare(MASTER, track(programme(20.0, seed=124)), DEFAULT_METHODS)
    assert "ms apart" in broken(one, other)
    assert broken(one, nothing) == "one is refused"
