"""Which lags the features propose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sync_core.analysis import hypotheses, mel
from sync_core.analysis.methods.base import Features
from sync_core.analysis.progress import ignore
from sync_core.domain.methods import Method

HOUR_HOPS = 3600 * mel.HOP_RATE_HZ
REACH_HOPS = 6
"""Lags are looked at on the waveforms 60 ms to each side."""


def features(hops: int, seed: int) -> NDArray[np.float32]:
    """Something like real ones: they move over some hundredths of a second."""
    white = np.random.default_rng(seed).standard_normal((4, hops + 2)).astype(np.float32)
    return 12.0 * (white[:, :-2] + white[:, 1:-1] + white[:, 2:])


def as_features(values: NDArray[np.float32]) -> Features:
    return Features(np.clip(np.rint(values), -112, 112).astype(np.int8), mel.HOP_RATE_HZ)


@pytest.mark.parametrize("hops", [HOUR_HOPS // 20, HOUR_HOPS * 3 // 4])
@pytest.mark.parametrize("lag", [0, 12_345, -1_234, 2])
def test_the_lag_of_recordings_of_minutes_and_of_hours_is_proposed_and_seen(hops: int, lag: int) -> None:
    programme = features(hops + abs(lag), seed=1)
    master = programme[:, abs(min(lag, 0)) :][:, :hops]
    dub = programme[:, max(lag, 0) :][:, :hops] + 3 * features(hops, seed=2)

    survey = hypotheses.propose({Method.ONSET: (as_features(master), as_features(dub))}, on_dims=ignore)

    best = max(survey.proposals, key=lambda proposal: proposal.scores[Method.ONSET])
    assert abs(best.lag_hops - lag) <= REACH_HOPS
    assert survey.seen(lag)[Method.ONSET] == pytest.approx(best.scores[Method.ONSET])
    assert survey.sharpness(lag * mel.HOP_SAMPLES) > 10 * survey.sharpness((lag + 500) * mel.HOP_SAMPLES)


@given(st.integers(0, 9), st.integers(0, 3))
def test_at_half_rate_each_hop_is_the_mean_of_two(hops: int, dims: int) -> None:
    values = np.random.default_rng(hops).integers(-112, 113, (dims, hops), np.int8)

    half = Features(values, 100).at_half_rate()

    whole = values[:, : hops // 2 * 2].reshape(dims, hops // 2, 2)
    assert half.rate_hz == 50
    assert half.values.shape == (dims, hops // 2)
    assert np.all(np.abs(half.values - whole.mean(axis=2)) <= 0.5)
