"""Correlate two feature sequences over all lags.

A lag is in hops: `master_hop = dub_hop + lag`. Lags run from `1 - n_dub` to `n_master - 1`; arrays over all lags hold
lag `k + 1 - n_dub` at index k.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier
from sync_core.analysis.methods.base import FULL_SCALE, Features
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.spread import spread

LEAST_OVERLAP_SECONDS = 1.5


@dataclass(frozen=True, slots=True)
class LagPeak:
    """A lag at which two feature sequences look alike; `score` in standard deviations of unrelated lags."""

    lag_hops: int
    score: float


@dataclass(frozen=True, slots=True)
class LagScores:
    """How alike two sequences are at every lag.

    Attributes
    ----------
    plain : [shape=(n_lags,), float32]
        Sum of products, in standard deviations of what unrelated sequences of the same energies give.
    sharp : [shape=(n_lags,), float32]
        The same with the cross-spectrum's magnitude flattened (phase transform over the features): periodic content,
        such as a loop, counts once and not at every repeat.
    first_lag
        Lag of index 0.
    """

    plain: NDArray[np.float32]
    sharp: NDArray[np.float32]
    first_lag: int


def hop_energies(values: NDArray[np.int8]) -> NDArray[np.float32]:
    """Mean square over the dimensions of each hop [shape=(n_hops,), float32, units squared]."""
    total = np.zeros(values.shape[1], np.float32)
    for row in values:
        total += np.square(row, dtype=np.float32)
    return total / np.float32(FULL_SCALE**2 * len(values))


def score_lags(master: Features, dub: Features, *, on_dims: Callable[[int], None]) -> LagScores:
    """Score every lag of two feature sequences.

    Parameters
    ----------
    master, dub
        With the same dimensions and rate, each at least one hop long.
    on_dims
        Called with the number of dimensions done since the last call.

    Notes
    -----
    What unrelated sequences would give at a lag is taken from the energies that meet there: the variance of the sum of
    products is proportional to the sum of products of hop energies. So a lag at which five seconds of sound meet is
    judged as fairly as one at which the whole files do. Lags at which less than `LEAST_OVERLAP_SECONDS` of content
    meet are damped.
    """
    n_master, n_dub = master.values.shape[1], dub.values.shape[1]
    lags = n_master + n_dub - 1
    size = fourier.fast_length(lags)
    spectrum = np.zeros(size // 2 + 1, np.complex64)
    rows = zip(master.values, dub.values, strict=True)
    for product in on_two_cores(lambda pair: _cross_spectrum(*pair, size), rows):
        spectrum += product
        on_dims(1)
    energy = _cross_spectrum(hop_energies(master.values), hop_energies(dub.values), size)
    met = np.maximum(_lag_order(fourier.irfft(energy, size), n_dub, lags), LEAST_OVERLAP_SECONDS * dub.rate_hz)
    plain = standardised(_lag_order(fourier.irfft(spectrum, size), n_dub, lags) / np.sqrt(met))
    spectrum /= np.abs(spectrum) + np.finfo(np.float32).tiny
    sharp = standardised(_lag_order(fourier.irfft(spectrum, size), n_dub, lags))
    return LagScores(plain, sharp, 1 - n_dub)


def _cross_spectrum(one: NDArray[np.generic], other: NDArray[np.generic], size: int) -> NDArray[np.complex64]:
    left = fourier.rfft(one.astype(np.float32), size)
    right = fourier.rfft(other.astype(np.float32), size)
    np.conj(right, out=right)
    left *= right
    return np.asarray(left, np.complex64)


def _lag_order(circular: NDArray[np.float32], n_dub: int, lags: int) -> NDArray[np.float32]:
    return np.roll(circular, n_dub - 1)[:lags]


def standardised(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Divide values over all lags by their spread."""
    usual = float(spread(values[:: max(values.size // 200_000, 1)]))
    return np.asarray(values / (usual or 1.0), np.float32)


def peaks(scores: NDArray[np.float32], first_lag: int, count: int, *, apart: int = 5) -> list[LagPeak]:
    """Pick the highest local maxima, best first, at least `apart` hops from each other."""
    inner = np.flatnonzero((scores[1:-1] > scores[:-2]) & (scores[1:-1] >= scores[2:])) + 1
    inner = inner if inner.size else np.arange(scores.size)
    many = min(inner.size, count * (2 * apart + 1))
    best = inner[np.argpartition(scores[inner], -many)[-many:]]
    picked: list[int] = []
    for index in best[np.argsort(-scores[best])]:
        if all(abs(int(index) - other) >= apart for other in picked):
            picked.append(int(index))
        if len(picked) == count:
            break
    return [LagPeak(first_lag + index, float(scores[index])) for index in picked]
