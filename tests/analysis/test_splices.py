"""Marks that a splice leaves in a recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from sync_core.analysis import splices
from sync_core.analysis.track import ANALYSIS_RATE_HZ

STEP, SECONDS = 80, 8
SIZE = SECONDS * ANALYSIS_RATE_HZ
CUT = 4 * ANALYSIS_RATE_HZ
PLACES = SIZE // STEP + 1


def vowels(seed: int) -> NDArray[np.float32]:
    """A buzz of 80 to 250 Hz through resonances that glide: as predictable as voiced speech."""
    rng = np.random.default_rng(seed)
    time = np.arange(SIZE) / ANALYSIS_RATE_HZ
    pitch = np.interp(time, np.arange(0, SECONDS + 1), rng.uniform(80.0, 250.0, SECONDS + 1))
    phase = 2 * np.pi * np.cumsum(pitch) / ANALYSIS_RATE_HZ
    formants = [np.interp(time, np.arange(0, SECONDS + 1), rng.uniform(300.0, 3_000.0, SECONDS + 1)) for _ in range(3)]
    loudness = [sum(np.exp(-((n * pitch - hz) ** 2) / 2e4) for hz in formants) for n in range(1, 16)]
    out = sum(level * np.sin(n * phase) for n, level in enumerate(loudness, 1))
    return (0.1 * np.asarray(out) + 1e-5 * rng.standard_normal(SIZE)).astype(np.float32)


def marks(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    return splices.marks(samples, 0, PLACES, STEP)


def marked(samples: NDArray[np.float32]) -> NDArray[np.int64]:
    """Places that are clearly marked, but for the recording's own start and end."""
    inside = marks(samples)[10:-10]
    return 10 + np.flatnonzero(inside > 3.0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("past_a_place", [0, 27, 53])
def test_a_hard_cut_within_a_voice_is_marked_and_nothing_else(seed: int, past_a_place: int) -> None:
    cut = CUT + past_a_place
    places = marked(np.concatenate([vowels(seed)[:cut], vowels(seed + 100)[cut:]]))
    assert places.size
    assert np.abs(places - cut / STEP).max() <= 4


@pytest.mark.parametrize("seed", range(6))
def test_a_voice_that_goes_on_is_not_marked(seed: int) -> None:
    assert not marked(vowels(seed)).size


def test_silence_is_not_marked() -> None:
    assert marks(np.zeros(SIZE, np.float32)).max() < 0.0


def test_where_the_marks_are_asked_for_from_does_not_matter() -> None:
    samples = np.concatenate([vowels(1)[:CUT], vowels(2)[CUT:]])
    later = 200
    part = splices.marks(samples, later * STEP, PLACES - later, STEP)
    around = slice(CUT // STEP - 4, CUT // STEP + 5)
    assert part[around.start - later : around.stop - later] == pytest.approx(marks(samples)[around], abs=1.0)


@settings(max_examples=30, deadline=None)
@given(
    arrays(np.float32, st.integers(0, 4_000), elements=st.floats(-1.0, 1.0, width=32)),
    st.integers(-3_000, 3_000),
    st.integers(1, 60),
)
def test_marks_of_anything_are_finite(samples: NDArray[np.float32], first: int, count: int) -> None:
    weights = splices.marks(samples, first, count, STEP)
    assert weights.shape == (count,)
    assert np.isfinite(weights).all()
