"""Say what a stretch without counterpart sounds like."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier
from sync_core.domain.result import SegmentKind

_FRAME = 2048
_STEP = 160
_MOST_FRAMES = 400
_SILENT_RMS = 1e-3
_BLACK_RMS = 1e-5
_PURE_SHARE = 0.9
_PEAK_BINS = 4
_MOSTLY = 0.6


def kind_of(samples: NDArray[np.float32]) -> SegmentKind:
    """Tell silence (under -60 dBFS), a steady tone and anything else apart, by what most of the stretch is.

    Parameters
    ----------
    samples : [shape=(n,), float32]
        Mono, 16 kHz.
    """
    frames = _frames(samples)
    loud = np.sqrt(np.square(frames).mean(axis=1)) > _SILENT_RMS
    if loud.mean() < 1.0 - _MOSTLY:
        return SegmentKind.SILENCE
    power = np.square(np.abs(fourier.rfft(frames[loud] * np.hanning(frames.shape[1]))))
    top = np.argmax(power, axis=1)
    near = np.clip(top[:, None] + np.arange(-_PEAK_BINS, _PEAK_BINS + 1), 0, power.shape[1] - 1)
    share = np.take_along_axis(power, near, axis=1).sum(axis=1) / np.maximum(power.sum(axis=1), 1e-20)
    steady = np.abs(top - np.median(top)) <= 1
    return SegmentKind.TONE if np.mean((share > _PURE_SHARE) & steady) > _MOSTLY else SegmentKind.OTHER


def silence_in(samples: NDArray[np.float32], start: int, stop: int, *, reach: int) -> tuple[int, int] | None:
    """Find the silence that most of a stretch consists of: digital black, or else what is under -60 dBFS.

    Parameters
    ----------
    samples : [shape=(n,), float32]
        Mono, 16 kHz.
    start, stop
        The stretch, samples.
    reach
        How far the silence may go on to either side of it, samples.

    Returns
    -------
    first, last
        In steps of 10 ms; None if there is no such silence.
    """
    low, high = max(start - reach, 0), min(stop + reach, samples.size)
    steps = samples[low : low + (high - low) // _STEP * _STEP].reshape(-1, _STEP)
    levels = np.sqrt(np.square(steps).mean(axis=1))
    for limit in (_BLACK_RMS, _SILENT_RMS):
        first, last = (low + edge * _STEP for edge in _longest_run(levels < limit))
        if min(last, stop) - max(first, start) > _MOSTLY * (stop - start):
            return first, last
    return None


def _longest_run(marked: NDArray[np.bool_]) -> tuple[int, int]:
    """Start and stop of the longest run of marks; empty if there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    if not edges.size:
        return 0, 0
    longest = int(np.argmax(edges[1::2] - edges[::2]))
    return int(edges[2 * longest]), int(edges[2 * longest + 1])


def _frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    if samples.size < _FRAME:
        samples = np.concatenate([samples, np.zeros(_FRAME - samples.size, np.float32)])
    starts = np.unique(np.linspace(0, samples.size - _FRAME, min(_MOST_FRAMES, samples.size // _FRAME)).astype(int))
    return np.stack([samples[start : start + _FRAME] for start in starts])
