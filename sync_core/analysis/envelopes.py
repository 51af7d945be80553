"""Fit a line on band envelopes, where the waveforms are not coherent.

A time-stretcher that keeps the pitch moves the phases of everything; what stays is how loud each band is when. Energies
of six bands every 2 ms, of windows of 8 s, are correlated along a line; the windows' peaks give offset and speed to
about half a millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import fourier, ridge
from sync_core.analysis.fit import Fit
from sync_core.analysis.line import Line
from sync_core.analysis.spread import spread
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track

_HOP = 32
_FRAME = 256
_BAND_EDGES_HZ = (150.0, 400.0, 800.0, 1_400.0, 2_300.0, 3_800.0, 6_500.0)
_WINDOW_HOPS = 4_000
_MOST_WINDOWS = 60
_REACH_HOPS = 40
_FLOOR = 1e-8
_ROUNDS = 3
_SHAPE = np.hanning(_FRAME + 1)[:-1].astype(np.float32)
_LEAST_SCORE = 3.5
_STRETCHER_BIAS_SECONDS = 5e-4
"""Time-stretchers move events by milliseconds, not at random; windows' scatter does not show all of it."""

_FEWEST_FOR_SLOPE = 4
_STEADY_SAMPLES = 4.0


def fit_line(master: Track, dub: Track, line: Line, *, on_block: Callable[[int], None]) -> Fit | None:
    """Fit offset and speed near a line on envelopes; None if nothing meets there.

    The result's score is the windows' combined height, in standard deviations of other delays within 80 ms.
    """
    fit: Fit | None = None
    for _ in range(_ROUNDS):
        seen = _window_delays(master, dub, line, on_block)
        if seen is None:
            return None
        seconds, delays, scores = seen
        fit = _fitted(line, seconds, delays, scores)
        ends = np.array([line.start_sample, line.stop_sample], np.int64)
        moved = np.abs(fit.line.master_samples(ends) - line.master_samples(ends)).max()
        line = fit.line
        if moved < _STEADY_SAMPLES:
            break
    return fit


def _fitted(line: Line, seconds: NDArray[np.float64], delays: NDArray[np.float64], scores: NDArray[np.float64]) -> Fit:
    many = np.count_nonzero(scores > _LEAST_SCORE)
    delay, slope, middle, error, slope_error = ridge.robust_line(seconds, delays, scores - _LEAST_SCORE + 4.0)
    if many < _FEWEST_FOR_SLOPE or abs(slope) < 2.0 * slope_error:
        delay, slope = delay + slope * middle, 0.0
    moved = replace(line, lag=line.lag + delay * line.slope, slope=line.slope * (1.0 + slope / ANALYSIS_RATE_HZ))
    near = np.abs(delays - delay - slope * seconds) < 10e-3 * ANALYSIS_RATE_HZ
    heights = np.where(near, scores, 0.0)
    return Fit(
        line=moved,
        score=float(np.sqrt(np.square(np.maximum(heights - 1.0, 0.0)).sum())),
        support=float(np.mean(heights > _LEAST_SCORE)),
        offset_error=max(error / ANALYSIS_RATE_HZ, _STRETCHER_BIAS_SECONDS),
        slope_error=max(slope_error / ANALYSIS_RATE_HZ, _STRETCHER_BIAS_SECONDS / max(float(np.ptp(seconds)), 1.0)),
        middle_seconds=middle,
        sign=1,
        window_seconds=seconds,
        window_scores=heights,
        on_waveforms=False,
    )


def _window_delays(
    master: Track, dub: Track, line: Line, on_block: Callable[[int], None]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Middle (seconds), residual delay (dub samples) and peak score of each window along the line."""
    hops = min(_WINDOW_HOPS, max((line.stop_sample - line.start_sample) // (2 * _HOP), 250))
    seconds, delays, scores = [], [], []
    for start in _window_starts(master, dub, line, hops * _HOP):
        at = start + np.arange(hops, dtype=np.int64) * _HOP
        theirs = _slopes(dub.samples, at)
        ours = _slopes(master.samples, np.rint(line.master_samples(at)).astype(np.int64))
        delay, score = _delay(ours, theirs)
        seconds.append((start + hops * _HOP / 2) / ANALYSIS_RATE_HZ)
        delays.append(delay * _HOP)
        scores.append(score)
        on_block(hops * _HOP // 4096)
    return (np.array(seconds), np.array(delays), np.array(scores)) if seconds else None


def _window_starts(master: Track, dub: Track, line: Line, length: int) -> list[int]:
    first, last = max(line.start_sample, 0), min(line.stop_sample, dub.samples.size) - length - _FRAME
    count = min(max(2 * (last - first) // length + 1, 1), _MOST_WINDOWS)
    starts = np.unique(np.linspace(first, max(last, first), count).astype(int))
    ends = line.master_samples(starts + length) + _FRAME
    fits = (line.master_samples(starts) >= 0) & (ends < master.samples.size)
    return [int(k) for k in starts[fits & (starts + length + _FRAME < dub.samples.size)]]


def _slopes(samples: NDArray[np.float32], at: NDArray[np.int64]) -> NDArray[np.float32]:
    """Slopes of log band energies at frames that start at `at` [shape=(n_bands, n), float32, each of unit size]."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[np.clip(at, 0, samples.size - _FRAME)]
    power = np.square(np.abs(fourier.rfft(frames * _SHAPE)))
    edges = [round(hz * _FRAME / ANALYSIS_RATE_HZ) for hz in _BAND_EDGES_HZ]
    bands = np.add.reduceat(power[:, : edges[-1]], edges[:-1], axis=1)
    logs = np.log(bands.T + np.float32(_FLOOR))
    slopes = np.zeros_like(logs)
    slopes[:, 2:-2] = logs[:, 4:] - logs[:, :-4]
    return np.asarray(slopes / np.maximum(slopes.std(axis=1, keepdims=True), 1e-3), np.float32)


def _delay(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> tuple[float, float]:
    """Residual delay in hops, with a parabola through the peak, and the peak's score."""
    size = fourier.fast_length(2 * ours.shape[1])
    spectrum = (fourier.rfft(ours, size) * np.conj(fourier.rfft(theirs, size))).sum(axis=0)
    wave = fourier.irfft(spectrum, size)
    near = np.concatenate([wave[-_REACH_HOPS:], wave[: _REACH_HOPS + 1]])
    noise = float(spread(np.concatenate([wave[-10 * _REACH_HOPS :], wave[: 10 * _REACH_HOPS]])))
    top = int(np.clip(np.argmax(near), 1, near.size - 2))
    before, here, after = (float(near[top + k]) for k in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return top - _REACH_HOPS + shift, here / noise if noise > 0 else 0.0
