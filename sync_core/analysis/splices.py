"""Tell by a recording alone where it may have been spliced.

A hard cut leaves two marks. Its first samples cannot be predicted from those before it, so the residual of a linear
prediction peaks; and the sound after it is unlike that before it. Speech and music have both marks too, though rarely
as strong: how much likelier they are at a cut than elsewhere was fitted by logistic regression on 913 edges of inserts
and cuts in generated dubs, black left out (`python -m tests.accuracy.refit_splices`). A crossfade leaves no marks.

References
----------
Godsill and Rayner, Digital Audio Restoration (1998), chapter 5, for clicks in the residual of linear prediction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.track import padded

_ORDER = 32
_BLOCK_SAMPLES = 1_600
_CHUNK_SAMPLES = 50 * _BLOCK_SAMPLES
_NEAR_SAMPLES = 60
_USUAL_STEPS = 31
_BESIDE_SAMPLES = 320
_BAND_EDGES = (2, 3, 4, 6, 9, 12, 18, 26, 37, 53, 77, 111, 160)
"""Bins of 50 Hz, about as wide to the ear."""
_QUIETEST_RESIDUAL, _QUIETEST_BAND = 0.01, 1e-4
"""Shares of what is usual: what is fainter counts as being so loud."""
_FAINTEST_RESIDUAL, _FAINTEST_BAND = 1e-7, 1e-10
PER_PEAK, PER_CHANGE, AT_NONE = 2.09, 1.36, -5.78
_STRONGEST = 6.0
"""Beyond this, plosives are commoner than the fit says."""
_BLOCK_WINDOW = np.hanning(2 * _BLOCK_SAMPLES + 1)[:-1].astype(np.float32)
_BESIDE_WINDOW = np.hanning(_BESIDE_SAMPLES + 2)[1:-1].astype(np.float32)


def marks(samples: NDArray[np.float32], first: int, count: int, step: int) -> NDArray[np.float64]:
    """Weigh for places in a recording whether it was spliced there.

    Parameters
    ----------
    samples : [shape=(n,), float32]
        At the analysis rate.
    first, count, step
        Places `first + k * step` for k below `count`; step divides 1,600.

    Returns
    -------
    weights : [shape=(count,), float64]
        Logarithm of how much likelier what is heard there is at a hard cut than elsewhere; 6 at most.
    """
    per_chunk = _CHUNK_SAMPLES // step
    chunks = ((first + k * step, min(per_chunk, count - k)) for k in range(0, count, per_chunk))
    done = on_two_cores(lambda chunk: _marks(samples, *chunk, step), chunks)
    return np.concatenate([np.zeros(0), *done])


def _marks(samples: NDArray[np.float32], first: int, count: int, step: int) -> NDArray[np.float64]:
    return np.asarray(np.minimum(cues(samples, first, count, step) @ (PER_PEAK, PER_CHANGE) + AT_NONE, _STRONGEST))


def cues(samples: NDArray[np.float32], first: int, count: int, step: int) -> NDArray[np.float64]:
    """Measure both marks at places that `marks` describes.

    Returns
    -------
    cues : [shape=(count, 2), float64]
        How high the residual peaks, against what is usual around, as a logarithm; how unlike the sound is before and
        after, nepers of power.
    """
    margin = 2 * _BLOCK_SAMPLES
    piece = padded(samples, first - margin, count * step + 2 * margin)
    at = margin + np.arange(count) * step
    return np.stack([_peaks(piece, at, step), _changes(piece, at)], axis=1)


def _peaks(samples: NDArray[np.float32], at: NDArray[np.int64], step: int) -> NDArray[np.float64]:
    """Logarithm of the residual's peak near each place, against what is usual around it."""
    residual = np.abs(_residual(samples))
    near = np.lib.stride_tricks.sliding_window_view(residual, 2 * _NEAR_SAMPLES + 1)[at - _NEAR_SAMPLES].max(axis=1)
    steps = np.sqrt(np.square(residual[: residual.size // step * step]).reshape(-1, step).mean(axis=1))
    around = np.lib.stride_tricks.sliding_window_view(steps, _USUAL_STEPS)
    usual = np.median(around[at // step - _USUAL_STEPS // 2], axis=1)
    floor = _QUIETEST_RESIDUAL * np.sqrt(np.square(residual).mean()) + _FAINTEST_RESIDUAL
    return np.asarray(np.log(np.maximum(near, _FAINTEST_RESIDUAL) / np.maximum(usual, floor)), np.float64)


def _residual(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Take away what a linear prediction, fitted every 0.1 s, foresees from the samples before [shape as given].

    The first block, which nothing lies before, and an incomplete last one are left 0.
    """
    blocks = np.lib.stride_tricks.sliding_window_view(samples, 2 * _BLOCK_SAMPLES)[::_BLOCK_SAMPLES]
    filters = _prediction_errors(_autocorrelations(blocks * _BLOCK_WINDOW))
    before = np.concatenate([np.zeros(_ORDER, np.float32), samples])
    longer = np.lib.stride_tricks.sliding_window_view(before, 2 * _BLOCK_SAMPLES + _ORDER)[::_BLOCK_SAMPLES]
    size = fourier.fast_length(longer.shape[1] + _ORDER)
    filtered = fourier.irfft(fourier.rfft(longer, size) * fourier.rfft(filters, size), size)
    errors = filtered[:, _ORDER : _ORDER + 2 * _BLOCK_SAMPLES] * _BLOCK_WINDOW
    out = np.zeros(samples.size, np.float32)
    middle = (errors[:-1, _BLOCK_SAMPLES:] + errors[1:, :_BLOCK_SAMPLES]).ravel()
    out[_BLOCK_SAMPLES : _BLOCK_SAMPLES + middle.size] = middle
    return out


def _autocorrelations(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Autocorrelation of rows at lags 0 to 32 [shape=(n, 33)], never singular."""
    size = fourier.fast_length(blocks.shape[1] + _ORDER)
    spectra = fourier.rfft(blocks, size)
    lags = fourier.irfft(spectra * np.conj(spectra), size)[:, : _ORDER + 1].astype(np.float64)
    lags[:, 0] = lags[:, 0] * (1 + 1e-6) + 1e-9
    return lags


def _prediction_errors(lags: NDArray[np.float64]) -> NDArray[np.float32]:
    """Find filters that leave the prediction error [shape=(n, 33)].

    Levinson's recursion for all rows at once: scipy's takes them one by one, and a quarter of a second to import.
    """
    filters = np.zeros_like(lags)
    filters[:, 0] = 1.0
    error = lags[:, 0].copy()
    for order in range(1, _ORDER + 1):
        reflection = -(filters[:, :order] * lags[:, order:0:-1]).sum(axis=1) / error
        filters[:, 1 : order + 1] += reflection[:, None] * filters[:, order - 1 :: -1][:, :order]
        error *= 1.0 - np.square(reflection)
    return filters.astype(np.float32)


def _changes(samples: NDArray[np.float32], at: NDArray[np.int64]) -> NDArray[np.float64]:
    """How unlike the 20 ms before and after each place are: the bands' difference in level, rms, nepers of power."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _BESIDE_SAMPLES)
    before, after = (_band_powers(frames[start] * _BESIDE_WINDOW) for start in (at - _BESIDE_SAMPLES, at))
    floor = _QUIETEST_BAND * before.mean(axis=0) + _FAINTEST_BAND
    return np.asarray(np.sqrt(np.square(np.log(before + floor) - np.log(after + floor)).mean(axis=1)), np.float64)


def _band_powers(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.square(np.abs(fourier.rfft(frames))) / np.float32(_BESIDE_SAMPLES)
    return np.asarray(np.add.reduceat(powers[:, : _BAND_EDGES[-1]], np.array(_BAND_EDGES[:-1]), axis=1))
