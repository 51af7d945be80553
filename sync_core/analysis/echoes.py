"""Tell where a programme lies from where it only repeats itself.

Music that is played throughout agrees at each of its repeats. Here each file is set against itself one repeat later,
and the difference is kept: what repeats is gone, and what is heard once is left, and once more, inverted, one repeat
earlier. At the true lag these remainders agree; at its echo one meets the other's inverted copy, at half the height.

Bins count by the square root of their level: wholly whitened, the little that is left of the music would count as much
as what is heard once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import coherence, ridge, spectra
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.spread import spread
from sync_core.analysis.track import Track

MOST_BLOCKS = 480
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
    band = spectra.in_band(BLOCK_SAMPLES)
    masters = [_spectra(master, starts + lag + k * apart, band) for k in range(3)]
    dubs = [_spectra(dub, starts + k * apart, band) for k in range(2)]
    sign, place = _peak(_correlation(masters[0], dubs[0]))
    _, place_of_echo = _peak(_correlation(masters[1], dubs[0]))
    turn = spectra.turns(np.array([place_of_echo - place], np.float32), BLOCK_SAMPLES)
    first, second = masters[0] - masters[1] * turn, masters[1] * turn - masters[2] * turn**2
    ours = dubs[0] - dubs[1] * turn
    return sign * _height(_correlation(first, ours)), sign * _height(_correlation(second, ours))


def _starts(master_size: int, dub_size: int, lag: int, apart: int) -> NDArray[np.int64]:
    """First dub samples of blocks, spread evenly, that lie in both files with all their repeats."""
    first = max(0, -apart, -lag, -lag - apart, -lag - 2 * apart)
    last = min(dub_size, dub_size - apart, master_size - lag, master_size - lag - apart, master_size - lag - 2 * apart)
    starts = np.arange(first, last - BLOCK_SAMPLES + 1, BLOCK_SAMPLES, dtype=np.int64)
    kept = np.unique(np.linspace(0, starts.size - 1, min(starts.size, MOST_BLOCKS)).astype(np.int64))
    return starts[kept]


def _spectra(track: Track, starts: NDArray[np.int64], band: slice) -> NDArray[np.complex64]:
    return spectra.of_blocks(track.samples, starts, BLOCK_SAMPLES, BLOCK_SAMPLES, band)


def _correlation(left: NDArray[np.complex64], right: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Half-whitened correlation of all blocks together [shape=(2 * REACH_SAMPLES + 1,)]."""
    product = left * np.conj(right)
    product /= np.sqrt(np.abs(product)) + _TINY
    levels = [np.square(np.abs(side)).mean(axis=0) for side in (left, right)]
    total = product.sum(axis=0) / (np.sqrt(np.sqrt(levels[0] * levels[1])) + _TINY)
    return np.asarray(coherence.residuals(total[None].astype(np.complex64), BLOCK_SAMPLES)[0])


def _peak(row: NDArray[np.float32]) -> tuple[int, float]:
    """Sign of the peak near the middle, and its place between the samples."""
    sign = 1 if _height(row) >= 0 else -1
    return sign, ridge.peak_near_middle(sign * row)[0]


def _height(row: NDArray[np.float32]) -> float:
    """Signed height of the peak near the middle, standard deviations."""
    noise = max(float(spread(row)), 1e-12)
    upright, inverted = (ridge.peak_near_middle(sign * row)[1] for sign in (1, -1))
    return (upright if upright >= inverted else -inverted) / noise
