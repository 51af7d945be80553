"""Whole-file phase correlation of the waveforms: a second source of lags, where features leave several open.

Both files are transformed as a whole and only the phases of their cross-spectrum are kept. At that resolution a bar
that is played throughout is a few lines of the spectrum, which count no more than any others: what does not repeat
decides between its repeats.

References
----------
Knapp and Carter, The generalized correlation method for estimation of time delay (1976).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import correlation, fourier, ridge
from sync_core.analysis.track import ANALYSIS_RATE_HZ

STEPS = 6
"""How often `correlate` reports."""

_MOST_POINTS = 1 << 24
_LEAST_FACTOR = 2
_CHUNK_POINTS = 1 << 15
_MARGIN = 64
_APART_SAMPLES = 480
_LOWEST_HZ = 80.0
_HIGHEST_SHARE = 0.92
_TINY = np.float32(1e-20)
_SLICE = 1 << 20


@dataclass(frozen=True, slots=True)
class PhaseScores:
    """How well the waveforms agree in phase at every lag.

    Attributes
    ----------
    values : [shape=(n_lags,), float32]
        Correlation of either sign in standard deviations of unrelated lags.
    first_lag
        Lag of index 0, in steps.
    step_samples
        Length of a step of lag, samples.
    """

    values: NDArray[np.float32]
    first_lag: int
    step_samples: int

    def at(self, lag_samples: int) -> float:
        """Height of the highest peak within four steps of a lag, between the steps too; 0 outside."""
        index = round(lag_samples / self.step_samples) - self.first_lag
        return ridge.height_near(self.values, index)

    def peaks(self, count: int) -> list[int]:
        """Name the highest lags of either sign, samples, best first."""
        apart = max(_APART_SAMPLES // self.step_samples, 1)
        found = correlation.peaks(np.abs(self.values), self.first_lag, count, apart=apart)
        return [peak.lag_hops * self.step_samples for peak in found]


def correlate(master: NDArray[np.float32], dub: NDArray[np.float32], *, on_step: Callable[[], None]) -> PhaseScores:
    """Correlate two recordings in phase over all lags.

    Parameters
    ----------
    master, dub : [shape=(n,), float32]
        Mono, at `ANALYSIS_RATE_HZ`.
    on_step
        Called `STEPS` times.

    Notes
    -----
    Memory and time are bounded by lowering the rate, at least to 8 kHz, until both files together fit into 16 million
    points: 0.2 CPU s for two minutes, 4 s and 270 MB for anything from 17 minutes up. Two hours are so compared below
    500 Hz, which their length makes up for.
    """
    factor = max(_LEAST_FACTOR, -(-(master.size + dub.size) // _MOST_POINTS))
    n_master, n_dub = -(-master.size // factor), -(-dub.size // factor)
    size = fourier.fast_length(n_master + n_dub)
    spectrum = _spectrum(master, factor, size, on_step)
    other = _spectrum(dub, factor, size, on_step)
    _keep_phases(spectrum, other, _LOWEST_HZ * factor / ANALYSIS_RATE_HZ)
    del other
    on_step()
    wave = fourier.irfft(spectrum, size)
    on_step()
    values = np.concatenate([wave[size - n_dub + 1 :], wave[:n_master]])
    return PhaseScores(correlation.standardised(values), 1 - n_dub, factor)


def _spectrum(
    samples: NDArray[np.float32], factor: int, size: int, on_step: Callable[[], None]
) -> NDArray[np.complex64]:
    slow = _decimated(samples, factor)
    on_step()
    spectrum = fourier.rfft(slow, size)
    on_step()
    return np.asarray(spectrum, np.complex64)


def _keep_phases(spectrum: NDArray[np.complex64], other: NDArray[np.complex64], lowest: float) -> None:
    """Turn a spectrum into the whitened cross-spectrum with another, in place; 0 below `lowest` and near the top.

    Parameters
    ----------
    lowest
        As a share of the sampling rate.
    """
    bins = spectrum.size
    first, last = int(lowest * 2 * bins), int(_HIGHEST_SHARE * bins)
    for start in range(0, bins, _SLICE):
        part = spectrum[start : start + _SLICE]
        part *= np.conj(other[start : start + _SLICE])
        part /= np.abs(part) + _TINY
    spectrum[:first] = 0.0
    spectrum[last:] = 0.0


def _decimated(samples: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Every `factor`-th sample of what is below the new Nyquist frequency, chunk by chunk."""
    margin = _MARGIN * factor
    chunk = _CHUNK_POINTS * factor - 2 * margin
    out = np.empty(-(-samples.size // factor), np.float32)
    for start in range(0, samples.size, chunk):
        piece = np.zeros(chunk + 2 * margin, np.float32)
        low, high = max(start - margin, 0), min(start + chunk + margin, samples.size)
        piece[low - start + margin : high - start + margin] = samples[low:high]
        count = piece.size // factor
        slow = fourier.irfft(fourier.rfft(piece)[: count // 2 + 1], count) / np.float32(factor)
        first = start // factor
        out[first : first + chunk // factor] = slow[_MARGIN:-_MARGIN][: out.size - first]
    return out
