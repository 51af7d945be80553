"""Gather anchors into straight lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis.anchors import Anchor
from sync_core.analysis.line import Line

MOST_LINES = 64
LEAST_SUPPORT = 7.5
_STRONGEST = 30.0
_ROUNDS = 5
_STEEPEST_CHANGE = 3e-3


def gather(anchors: Sequence[Anchor], within: float, *, least_support: float = LEAST_SUPPORT) -> list[Line]:
    """Explain anchors by few lines, the best supported first; what one line explains the next does not count.

    Each line's span is that of its anchors. A line's slope is fitted where its anchors reach far enough, else it is
    the one that they were seen at.

    Parameters
    ----------
    within
        Anchors up to this far off a line belong to it, samples.
    least_support
        Sum of the scores of a line's anchors, of which none counts more than 30.
    """
    left = np.array([(a.dub_sample, a.master_sample, a.slope, min(a.score, _STRONGEST)) for a in anchors])
    lines: list[Line] = []
    while len(left) and len(lines) < MOST_LINES:
        slope, lag = _best_seed(left, within)
        members = _members(left, slope, lag, within)
        for _ in range(_ROUNDS):
            slope, lag = _fitted(left[members], slope)
            members = _members(left, slope, lag, within)
        support = float(left[members, 3].sum())
        if not members.any() or support < least_support:
            break
        span = left[members, 0]
        lines.append(Line(lag, slope, int(span.min()), int(span.max())))
        left = left[~members]
    return lines


def _best_seed(points: NDArray[np.float64], within: float) -> tuple[float, float]:
    """Slope and lag with the most support, of those that an anchor has."""
    best = (-1.0, 1.0, 0.0)
    for slope in np.unique(points[:, 2]):
        lags = points[:, 1] - slope * points[:, 0]
        order = np.argsort(lags)
        total = np.concatenate([[0.0], np.cumsum(points[order, 3])])
        low = np.searchsorted(lags[order], lags - within)
        high = np.searchsorted(lags[order], lags + within, side="right")
        support = total[high] - total[low]
        top = int(np.argmax(support))
        if support[top] > best[0]:
            best = (float(support[top]), float(slope), float(lags[top]))
    return best[1], best[2]


def _members(points: NDArray[np.float64], slope: float, lag: float, within: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(points[:, 1] - slope * points[:, 0] - lag) <= within)


def _fitted(points: NDArray[np.float64], slope: float) -> tuple[float, float]:
    """Weighted least squares; the slope stays where the anchors' reach cannot change it or would bend it too much."""
    if not len(points):
        return slope, np.inf
    at, there, _, weight = points.T
    middle, height = np.average(at, weights=weight), np.average(there, weights=weight)
    lever = float(np.sum(weight * (at - middle) ** 2))
    if len(points) >= 3 and np.ptp(at) > 2e5:
        change = float(np.sum(weight * (at - middle) * (there - height - slope * (at - middle)))) / lever
        slope = slope + change if abs(change) < _STEEPEST_CHANGE else slope
    return slope, float(height - slope * middle)
