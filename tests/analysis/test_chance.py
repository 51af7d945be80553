"""Sounds that unrelated recordings share, such as drums of one sample library, are no common programme."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sync_core.analysis import chance
from sync_core.analysis.compare import compare
from sync_core.analysis.estimate import Estimate
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import DEFAULT_METHODS
from tests.analysis.signals import programme, shifted, track

LATE_SECONDS = 2.5


def drums(seconds: float, every: float, loudness: float) -> NDArray[np.float32]:
    """The same hit again and again, a little off the beat, so that one place fits best."""
    rng = np.random.default_rng(5)
    hit = rng.standard_normal(ANALYSIS_RATE_HZ // 5) * np.exp(-np.arange(ANALYSIS_RATE_HZ // 5) / 600)
    out = np.zeros(int(seconds * ANALYSIS_RATE_HZ))
    for beat in np.arange(0.5, seconds - 1.0, every):
        at = int((beat + rng.uniform(0, 0.4 * every)) * ANALYSIS_RATE_HZ)
        out[at : at + hit.size] += loudness * rng.uniform(0.7, 1.0) * hit
    return out.astype(np.float32)


def estimate(common: NDArray[np.float32], loudness: float) -> Estimate:
    """Compare two programmes that have this in common, and else nothing."""
    late = shifted(common, -LATE_SECONDS, common.size)
    master = common + loudness * programme(common.size / ANALYSIS_RATE_HZ, seed=61)
    dub = late + loudness * programme(common.size / ANALYSIS_RATE_HZ, seed=62)
    return compare(track(master), track(dub), DEFAULT_METHODS)


def test_hits_in_common_are_not_a_match(monkeypatch: pytest.MonkeyPatch) -> None:
    hits = drums(20.0, 2.0, 0.2)
    refused = estimate(hits, 1.0)
    assert refused.offset_seconds is None
    assert refused.confidence < 0.5
    monkeypatch.setattr(chance, "_LEAST_USUAL", -1.0)  # the hits alone would have been believed
    assert estimate(hits, 1.0).offset_seconds == pytest.approx(-LATE_SECONDS, abs=1e-3)


@pytest.mark.parametrize("loudness", [1.5, 3.0])
def test_faint_music_throughout_is(loudness: float) -> None:
    assert estimate(programme(20.0, seed=63), loudness).offset_seconds == pytest.approx(-LATE_SECONDS, abs=1e-3)


def test_hits_alone_are_where_nothing_else_is_heard() -> None:
    assert estimate(drums(20.0, 1.4, 0.3), 1e-3).offset_seconds == pytest.approx(-LATE_SECONDS, abs=1e-3)
