"""Find and fit the ridge in a correlogram: the straight line of residual delays along which rows peak."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis.coherence import REACH_SAMPLES, Correlogram
from sync_core.analysis.spread import spread
from sync_core.analysis.track import ANALYSIS_RATE_HZ

CLEAR_SCORE = 6.0
"""A window's own peak this many standard deviations high is hardly ever chance."""

_STEEPEST = 0.0025 * ANALYSIS_RATE_HZ
_FINE = 16
_TAPS = 8
_NEAR_SAMPLES = 4
_SEEDS = 24
_FEWEST_FOR_SLOPE = 3
_ROUNDS = 3
_PEAK_REACH = _NEAR_SAMPLES + _TAPS


@dataclass(frozen=True, slots=True)
class Ridge:
    """A straight ridge: `residual = delay + slope * seconds`, residual in samples, time as in the correlogram.

    Attributes
    ----------
    sign
        -1 where one side is inverted.
    score
        Height of the rows' sum along the ridge, in standard deviations of other delays.
    delay, slope
        Samples, and samples per second.
    delay_error
        Standard error of the delay at the middle of the support, samples.
    slope_error
        Standard error of the slope, samples per second; infinite if there was one window only.
    window_seconds, window_scores : [shape=(n_windows,)]
        Middles of the windows that were looked at, and how high each stands on the ridge.
    """

    sign: int
    score: float
    delay: float
    slope: float
    middle_seconds: float
    delay_error: float
    slope_error: float
    window_seconds: NDArray[np.float64]
    window_scores: NDArray[np.float64]

    def at(self, seconds: NDArray[np.float64] | float) -> NDArray[np.float64] | float:
        return self.delay + self.slope * seconds


def peak_score(row: NDArray[np.float32]) -> float:
    """Height of a row's highest peak of either sign, in standard deviations; 0 for an empty row."""
    noise = float(spread(row))
    return float(np.abs(row).max()) / noise if noise > 0 else 0.0


def find(picture: Correlogram, *, window_rows: int) -> Ridge | None:
    """Find the ridge with the highest sum; None if no row holds sound.

    Parameters
    ----------
    window_rows
        How many rows make a window, whose own peak seeds and refines the ridge.
    """
    kept = picture.blocks > 0
    if not kept.any():
        return None
    rows, seconds = picture.rows[kept], picture.centre_seconds[kept]
    windows, middles = _windows(rows, seconds, window_rows)
    noise = spread(windows)
    models = [_constant(rows), *_seeded(windows, middles, noise)]
    heights = _heights(rows, seconds, np.array(models))
    best = int(np.argmax(np.abs(heights)))
    sign = 1 if heights[best] >= 0 else -1
    return _refined(rows, seconds, models[best], sign, window_rows, noise)


def _windows(
    rows: NDArray[np.floating], seconds: NDArray[np.float64], window_rows: int
) -> tuple[NDArray[np.floating], NDArray[np.float64]]:
    """Sum rows, and average their times, over windows."""
    edges = np.arange(0, len(rows), window_rows)
    middles = np.add.reduceat(seconds, edges) / _lengths(len(rows), window_rows)
    return np.add.reduceat(rows, edges, axis=0), middles


def _lengths(rows: int, window_rows: int) -> NDArray[np.int64]:
    edges = np.arange(0, rows, window_rows)
    return np.diff(np.append(edges, rows))


def _constant(rows: NDArray[np.float32]) -> tuple[float, float]:
    return float(np.argmax(np.abs(rows.sum(axis=0))) - REACH_SAMPLES), 0.0


def _seeded(
    windows: NDArray[np.float32], middles: NDArray[np.float64], noise: NDArray[np.float64]
) -> list[tuple[float, float]]:
    """Lines through pairs of windows that peak clearly by themselves (delay at time 0, slope)."""
    columns = np.argmax(np.abs(windows), axis=1)
    heights = np.abs(windows[np.arange(len(windows)), columns]) / np.maximum(noise, 1e-12)
    strong = [index for index in np.argsort(-heights)[:_SEEDS] if heights[index] > CLEAR_SCORE]
    delays = columns - REACH_SAMPLES
    models = []
    for k, one in enumerate(strong):
        for other in strong[k + 1 :]:
            slope = (delays[one] - delays[other]) / (middles[one] - middles[other])
            if abs(slope) <= _STEEPEST:
                models.append((float(delays[one] - slope * middles[one]), float(slope)))
    return models


def _heights(
    rows: NDArray[np.float32], seconds: NDArray[np.float64], models: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of the rows along each line (delay, slope), with its sign; outside the picture counts as 0."""
    width = rows.shape[1]
    columns = np.rint(models[:, :1] + models[:, 1:] * seconds).astype(np.int32) + REACH_SAMPLES
    inside = (columns >= 1) & (columns < width - 1)
    places = np.where(inside, columns, 1) + np.arange(len(rows), dtype=np.int64) * width
    flat = rows.reshape(-1)
    sums = np.stack([np.where(inside, flat[places + k], 0.0).sum(axis=1) for k in (-1, 0, 1)])
    highest = np.argmax(np.abs(sums), axis=0)
    return np.asarray(sums[highest, np.arange(len(models))], np.float64)


def _refined(
    rows: NDArray[np.float32],
    seconds: NDArray[np.float64],
    model: tuple[float, float],
    sign: int,
    window_rows: int,
    window_noise: NDArray[np.float64],
) -> Ridge:
    """Straighten the rows along the model, then fit the windows' fractional peaks near it."""
    delay, slope = model
    for _ in range(_ROUNDS):
        whole = np.rint(delay + slope * seconds).astype(np.int64)
        straight = sign * straightened(rows, whole, _PEAK_REACH)
        windows, middles = _windows(straight, seconds, window_rows)
        places, heights = _fine_peaks(windows)
        scores = _scores(heights, window_noise)
        delays = places + _windows(whole[:, None].astype(np.float64), seconds, window_rows)[0][:, 0] / _lengths(
            len(rows), window_rows
        )
        fitted = robust_line(middles, delays, scores)
        delay, slope = fitted[:2]
    total = straight.sum(axis=0)
    _, height = _fine_peaks(total[None])
    noise = max(float(spread(rows.sum(axis=0))), 1e-12)
    return Ridge(sign, float(height[0]) / noise, *fitted, middles, scores)


def _scores(heights: NDArray[np.float64], noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Heights in standard deviations; 0 for windows without any noise, which hold nothing."""
    return np.where(noise > 0, heights / np.where(noise > 0, noise, 1.0), 0.0)


def straightened(rows: NDArray[np.float32], whole: NDArray[np.int64], reach: int) -> NDArray[np.float32]:
    """Cut each row to `reach` columns on either side of column `whole` (counted from the middle); outside it is 0."""
    size = rows.shape[1]
    columns = np.arange(-reach, reach + 1) + size // 2 + whole[:, None]
    inside = (columns >= 0) & (columns < size)
    return np.where(inside, np.take_along_axis(rows, np.clip(columns, 0, size - 1), axis=1), np.float32(0.0))


def _interpolator() -> NDArray[np.float32]:
    """Windowed-sinc weights from columns -(NEAR + TAPS)..(NEAR + TAPS) to steps of 1/16 within +-NEAR samples."""
    fine = np.arange(-_NEAR_SAMPLES * _FINE, _NEAR_SAMPLES * _FINE + 1) / _FINE
    columns = np.arange(-_PEAK_REACH, _PEAK_REACH + 1)
    distance = fine - columns[:, None]
    window = np.where(np.abs(distance) < _TAPS, np.cos(np.pi * distance / (2 * _TAPS)) ** 2, 0.0)
    return np.asarray(np.sinc(distance) * window, np.float32)


_WEIGHTS = _interpolator()


def _fine_peaks(windows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fractional place (samples from the middle column) and height of the highest value within +-4 samples.

    Parameters
    ----------
    windows : [shape=(n_windows, 2 * _PEAK_REACH + 1), float32]
    """
    fine = windows @ _WEIGHTS
    top = np.clip(np.argmax(fine, axis=1), 1, fine.shape[1] - 2)
    at = np.arange(len(fine))
    before, here, after = (fine[at, top + k].astype(np.float64) for k in (-1, 0, 1))
    bend = before - 2 * here + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    place = (top + np.clip(shift, -1, 1)) / _FINE - _NEAR_SAMPLES
    return place, here - 0.25 * (before - after) * shift


def peak_near_middle(row: NDArray[np.float32]) -> tuple[float, float]:
    """Place (samples from the middle) and height of the highest value within four samples of the middle of a row."""
    middle = row.size // 2
    places, heights = _fine_peaks(row[None, middle - _PEAK_REACH : middle + _PEAK_REACH + 1])
    return float(places[0]), float(heights[0])


def height_near(values: NDArray[np.float32], index: int) -> float:
    """Greatest magnitude within four steps of an index, between the steps too; 0 if that is near an end or outside."""
    window = values[max(index - _PEAK_REACH, 0) : max(index + _PEAK_REACH + 1, 0)]
    return float(np.abs(window @ _WEIGHTS).max()) if window.size == 2 * _PEAK_REACH + 1 else 0.0


def robust_line(
    seconds: NDArray[np.float64], offsets: NDArray[np.float64], scores: NDArray[np.float64]
) -> tuple[float, float, float, float, float]:
    """Weighted straight line through the windows' peaks, outliers dropped.

    Returns
    -------
    delay, slope, middle_seconds, delay_error, slope_error
    """
    weights = np.square(np.maximum(scores - 4.0, 0.0)) + 1e-6
    sloped = np.count_nonzero(scores > CLEAR_SCORE) >= _FEWEST_FOR_SLOPE
    delay = slope = 0.0
    middle = float(np.average(seconds, weights=weights))
    centred = seconds - middle
    for _ in range(4):
        lever = float(np.sum(weights * centred**2))
        mean = float(np.average(offsets, weights=weights))
        slope = float(np.sum(weights * centred * offsets) / lever) if lever > 1e-9 and sloped else 0.0
        off = np.abs(offsets - mean - slope * centred)
        scale = max(float(np.sum(weights * off) / weights.sum()), 1e-3)
        weights = np.where(off > 4 * scale, weights * 1e-3, weights)
        middle += float(np.average(centred, weights=weights))
        centred = seconds - middle
    mean = float(np.average(offsets, weights=weights))
    delay = mean - slope * middle
    many = max(float(weights.sum() ** 2 / np.square(weights).sum()), 1.0)
    variance = float(np.average((offsets - mean - slope * centred) ** 2, weights=weights))
    error = float(np.sqrt(variance / many)) + 1e-3 / ANALYSIS_RATE_HZ
    lever = float(np.average(centred**2, weights=weights))
    slope_error = error / np.sqrt(lever) if lever > 1e-6 and sloped else np.inf
    return delay, slope, middle, error, float(slope_error)
