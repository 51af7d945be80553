"""Log-mel energies: the view of a recording that every signal method starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier

HOP_SAMPLES = 160
"""10 ms at 16 kHz."""
WINDOW_SAMPLES = 512
"""32 ms at 16 kHz; hop k covers samples 160 k to 160 k + 512."""
HOP_RATE_HZ = 100
BANDS = 32
LOWEST_HZ = 100.0
HIGHEST_HZ = 7_600.0

_POWER_FLOOR = 1e-9
_LOG_CENTRE = 8.0
_CHUNK_HOPS = 512


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(2595.0 * np.log10(1.0 + hz / 700.0))


def mel_filters(sample_rate_hz: int = HOP_SAMPLES * HOP_RATE_HZ) -> NDArray[np.float32]:
    """Build triangular filters that are evenly spaced on the mel scale (HTK's formula).

    Returns
    -------
    filters : [shape=(WINDOW_SAMPLES // 2 + 1, BANDS), float32]
        Each column sums to 1, so that a band's value is a mean power.
    """
    lowest, highest = (float(edge) for edge in _mel(np.array([LOWEST_HZ, HIGHEST_HZ])))
    edges = np.linspace(lowest, highest, BANDS + 2)
    bins = _mel(np.arange(WINDOW_SAMPLES // 2 + 1, dtype=np.float64) * sample_rate_hz / WINDOW_SAMPLES)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - left) / (centre - left)
    falling = (right - bins) / (right - centre)
    filters = np.clip(np.minimum(rising, falling), 0.0, None)
    return np.asarray(filters / filters.sum(axis=0), np.float32)


_FILTERS = mel_filters()
_WINDOW = (np.hanning(WINDOW_SAMPLES + 1)[:-1] / np.sqrt(WINDOW_SAMPLES)).astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float16]:
    """Compute log energies in mel bands for every hop that lies wholly inside the samples.

    Parameters
    ----------
    samples : [shape=(n,), float32]
        Mono, 16 kHz.

    Returns
    -------
    energies : [shape=(n_hops, BANDS), float16, nepers of power]
        Row k covers `samples[160 k : 160 k + 512]`. The zero point is arbitrary but fixed; it is chosen so that
        float16 keeps steps of 0.008 or finer.
    """
    hops = max((samples.size - WINDOW_SAMPLES) // HOP_SAMPLES + 1, 0)
    energies = np.empty((hops, BANDS), np.float16)
    if not hops:
        return energies
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW_SAMPLES)[::HOP_SAMPLES]
    for start in range(0, hops, _CHUNK_HOPS):
        spectrum = fourier.rfft(frames[start : start + _CHUNK_HOPS] * _WINDOW)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        energies[start : start + _CHUNK_HOPS] = np.log(power @ _FILTERS + np.float32(_POWER_FLOOR)) + _LOG_CENTRE
    return energies
