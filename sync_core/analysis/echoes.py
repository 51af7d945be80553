"""Tell where a programme lies from where it only repeats itself.

Music that is played throughout agrees at each of its repeats. Here each file is set against itself one repeat later,
and the difference is kept: what repeats is gone, and what is heard once is left, and once more, inverted, one repeat
earlier. At the true lag these remainders agree; at its echo one meets the other's inverted copy, at half the height.

Bins count by the square root of their level: wholly whitened, the little that is left of the music would count as much
as what is heard once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import coherence, ridge, spectra
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.spread import spread
from sync_core.analysis.track import Track

MOST_BLOCKS = 480
_BATCH_BLOCKS = 96
_TINY = np.float32(1e-20)


def agreement(master: Track, dub: Track, lag: int, echo: int) -> tuple[float, float]:
    """How well what the programme does not repeat agrees at two lags that both fit.

    Parameters
    ----------
    lag, echo
        Samples; the programme repeats itself, or seems to, after the difference of both.

    Returns
    -------
    at_lag, at_echo
        Heights in standard deviations of other delays; negative where one side meets the inverse of the other. About 0
        both where nothing is heard once, or the files are too short to be set against themselves.
    """
    apart = echo - lag
    starts = _starts(master.samples.size, dub.samples.size, lag, apart)
    if not starts.size:
        return 0.0, 0.0
    plain, repeated = _Sum(), _Sum()
    for masters, dubs in _blocks(master, dub, lag, apart, starts, (2, 1)):
        plain.add(masters[0], dubs[0])
        repeated.add(masters[1], dubs[0])
    sign, place = _peak(plain.correlation())
    turn = spectra.turns(np.array([_peak(repeated.correlation())[1] - place], np.float32), BLOCK_SAMPLES)
    at_lag, at_echo = _Sum(), _Sum()
    for masters, dubs in _blocks(master, dub, lag, apart, starts, (3, 2)):
        ours = dubs[0] - dubs[1] * turn
        at_lag.add(masters[0] - masters[1] * turn, ours)
        at_echo.add(masters[1] * turn - masters[2] * turn**2, ours)
    return sign * _height(at_lag.correlation()), sign * _height(at_echo.correlation())


def _starts(master_size: int, dub_size: int, lag: int, apart: int) -> NDArray[np.int64]:
    """First dub samples of blocks, spread evenly, that lie in both files with all their repeats."""
    first = max(0, -apart, -lag, -lag - apart, -lag - 2 * apart)
    last = min(dub_size, dub_size - apart, master_size - lag, master_size - lag - apart, master_size - lag - 2 * apart)
    starts = np.arange(first, last - BLOCK_SAMPLES + 1, BLOCK_SAMPLES, dtype=np.int64)
    kept = np.unique(np.linspace(0, starts.size - 1, min(starts.size, MOST_BLOCKS)).astype(np.int64))
    return starts[kept]


def _blocks(
    master: Track, dub: Track, lag: int, apart: int, starts: NDArray[np.int64], copies: tuple[int, int]
) -> Iterator[tuple[list[NDArray[np.complex64]], list[NDArray[np.complex64]]]]:
    """Spectra of the master's and the dub's blocks, and of so many of their repeats, some blocks at a time."""
    band = spectra.in_band(BLOCK_SAMPLES)

    def read(track: Track, at: NDArray[np.int64]) -> NDArray[np.complex64]:
        return spectra.of_blocks(track.samples, at, BLOCK_SAMPLES, BLOCK_SAMPLES, band)

    for some in np.array_split(starts, -(-starts.size // _BATCH_BLOCKS)):
        masters = [read(master, some + lag + k * apart) for k in range(copies[0])]
        yield masters, [read(dub, some + k * apart) for k in range(copies[1])]


class _Sum:
    """Adds up blocks to one half-whitened correlation."""

    def __init__(self) -> None:
        bins = spectra.in_band(BLOCK_SAMPLES)
        self._total = np.zeros(bins.stop - bins.start, np.complex64)
        self._powers = np.zeros((2, self._total.size), np.float32)

    def add(self, left: NDArray[np.complex64], right: NDArray[np.complex64]) -> None:
        """Add blocks of both sides [shape=(n, bins)]."""
        product = left * np.conj(right)
        product /= np.sqrt(np.abs(product)) + _TINY
        self._total += product.sum(axis=0)
        for power, side in zip(self._powers, (left, right), strict=True):
            power += np.square(np.abs(side)).sum(axis=0)

    def correlation(self) -> NDArray[np.float32]:
        """Return the correlation at delays up to 60 ms [shape=(2 * REACH_SAMPLES + 1,)]."""
        white = self._total / (np.sqrt(np.sqrt(self._powers[0] * self._powers[1])) + _TINY)
        return np.asarray(coherence.residuals(white[None].astype(np.complex64), BLOCK_SAMPLES)[0])


def _peak(row: NDArray[np.float32]) -> tuple[int, float]:
    """Sign of the peak near the middle, and its place between the samples."""
    sign = 1 if _height(row) >= 0 else -1
    return sign, ridge.peak_near_middle(sign * row)[0]


def _height(row: NDArray[np.float32]) -> float:
    """Signed height of the peak near the middle, standard deviations."""
    noise = max(float(spread(row)), 1e-12)
    upright, inverted = (ridge.peak_near_middle(sign * row)[1] for sign in (1, -1))
    return (upright if upright >= inverted else -inverted) / noise
