"""Music that repeats fits at every repeat; what does not repeat decides."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import phase
from sync_core.analysis.compare import compare
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import DEFAULT_METHODS
from tests.analysis.signals import programme, shifted, track

SECONDS = 60.0
LENGTH = int(SECONDS * ANALYSIS_RATE_HZ)


def looped(bar_seconds: float, seed: int, effects: int) -> np.ndarray:
    """A bar throughout, and a few effects that are heard once."""
    rng = np.random.default_rng(seed)
    bar = programme(bar_seconds, seed)
    out = np.tile(bar, int(2 * SECONDS / bar_seconds) + 1)[: 2 * LENGTH]
    for k in range(effects):
        effect = 2.0 * programme(0.6, seed + 1 + k)
        at = int(rng.uniform(0, out.size - effect.size))
        out[at : at + effect.size] += effect
    return out.astype(np.float32)


@pytest.mark.parametrize(("bar_seconds", "seed"), [(1.9, 51), (2.5, 71), (4.3, 91)])
def test_sparse_effects_tell_the_repeats_apart(bar_seconds, seed):
    world = looped(bar_seconds, seed, effects=30)
    voice, other = programme(SECONDS, seed + 30), programme(SECONDS, seed + 31)
    master = track(shifted(world, 20.0, LENGTH) + voice)
    dub = track(shifted(world, 27.3, LENGTH) + other)
    estimate = compare(master, dub, DEFAULT_METHODS)
    assert estimate.offset_seconds == pytest.approx(7.3, abs=1e-3)
    assert not estimate.edited


@pytest.mark.parametrize(("bar_seconds", "seed"), [(1.9, 51), (2.5, 71), (3.1, 111)])
def test_equal_repeats_are_listed_and_leave_doubt(bar_seconds, seed):
    world = looped(bar_seconds, seed, effects=0)
    master = track(shifted(world, 20.0, LENGTH) + programme(SECONDS, seed + 30))
    dub = track(shifted(world, 27.3, LENGTH) + programme(SECONDS, seed + 31))
    estimate = compare(master, dub, DEFAULT_METHODS)
    assert estimate.confidence < 0.5
    assert estimate.offset_seconds is None
    assert len(estimate.candidates) >= 3
    for one in estimate.candidates:
        bars = (one.offset_seconds - 7.3) / bar_seconds
        assert bars == pytest.approx(round(bars), abs=0.01)


@pytest.mark.parametrize("sign", [1, -1])
def test_whole_files_agree_in_phase_at_the_true_lag_only(sign):
    music = programme(SECONDS, 81)
    dub = sign * shifted(music, 3.0, LENGTH // 2)
    scores = phase.correlate(music, dub, on_step=lambda: None)
    best, *_ = scores.peaks(3)
    assert best == pytest.approx(3.0 * ANALYSIS_RATE_HZ, abs=scores.step_samples)
    assert scores.at(best) > 100.0
    assert scores.at(best + ANALYSIS_RATE_HZ) < 10.0


def test_long_files_are_compared_at_a_lower_rate(monkeypatch):
    monkeypatch.setattr(phase, "_MOST_POINTS", 200_000)
    music = programme(SECONDS, 82)
    scores = phase.correlate(music, shifted(music, 3.0, LENGTH // 2), on_step=lambda: None)
    assert scores.values.size < 200_000
    assert scores.peaks(1)[0] == pytest.approx(3.0 * ANALYSIS_RATE_HZ, abs=scores.step_samples)
