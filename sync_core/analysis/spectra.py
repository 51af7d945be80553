"""Spectra of blocks of sound within the band that is compared, and turning them by parts of a sample."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier
from sync_core.analysis.track import ANALYSIS_RATE_HZ

LOWEST_HZ, HIGHEST_HZ = 80.0, 7_200.0
QUIETEST_RMS = 1.5e-5
"""Blocks below this in-band level (-96 dBFS) are quantisation noise, which can be the same in any two files."""

_TURN_BINS = 64


def turns(delays: NDArray[np.float32], size: int) -> NDArray[np.complex64]:
    """Phases by which delays turn the bins [shape=(n, bins)], one row where all delays are the same.

    Each is a product of a coarse and a fine turn, which takes fewer exponentials.
    """
    if np.ptp(delays) == 0.0:
        delays = delays[:1]
    band = in_band(size)
    turn = 2j * np.pi / size * delays[:, None].astype(np.float64)
    fine = np.exp(turn * np.arange(_TURN_BINS)).astype(np.complex64)
    coarse = np.exp(turn * np.arange(band.start, band.stop, _TURN_BINS)).astype(np.complex64)
    ramps = (coarse[:, :, None] * fine[:, None, :]).reshape(len(delays), -1)
    return np.asarray(ramps[:, : band.stop - band.start], np.complex64)


@lru_cache(maxsize=64)
def in_band(size: int) -> slice:
    """Bins of a transform of the dub that count."""
    per_hz = size / ANALYSIS_RATE_HZ
    return slice(int(LOWEST_HZ * per_hz), int(HIGHEST_HZ * per_hz) + 1)


def of_blocks(
    samples: NDArray[np.float32], starts: NDArray[np.int64], length: int, size: int, band: slice
) -> NDArray[np.complex64]:
    """Spectra of windowed blocks [shape=(n, bins)], scaled so that the power of all bins adds up to the mean square.

    Bins that a short transform does not have, being above its Nyquist frequency, are 0.
    """
    blocks = np.lib.stride_tricks.sliding_window_view(samples, length)[starts]
    blocks *= _window(length, size)
    spectra = fourier.rfft(blocks, None if size == length else size)[:, band]
    missing = band.stop - band.start - spectra.shape[1]
    return np.pad(spectra, ((0, 0), (0, missing))) if missing else spectra


@lru_cache(maxsize=16)
def _window(length: int, size: int) -> NDArray[np.float32]:
    window = np.hanning(length + 1)[:-1]
    return np.asarray(window * np.sqrt(2.0 / (size * np.square(window).sum())), np.float32)


def loud(spectra: NDArray[np.complex64]) -> NDArray[np.bool_]:
    """Whether each block [shape=(n, bins)] holds more than quantisation noise."""
    return np.asarray(np.vecdot(spectra, spectra).real > QUIETEST_RMS**2)
