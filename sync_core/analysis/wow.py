"""Notice wow: a dub that wanders about its line by milliseconds, as tape and badly locked clocks make it.

Such steps come and go. They are no edits: the programme goes on, and nobody would cut it there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import ridge
from sync_core.analysis.coherence import REACH_SAMPLES, Correlogram
from sync_core.analysis.ridge import Ridge
from sync_core.analysis.spread import spread
from sync_core.analysis.track import ANALYSIS_RATE_HZ

WIDEST_SECONDS = 0.015
"""A step of this much or more is an edit; the shortest are one video frame."""

_REACH = int(WIDEST_SECONDS * ANALYSIS_RATE_HZ)
_ON_THE_LINE = 4
_CLEAR_SCORE = 7.0
_LEAST_SHARE = 0.1
_ROUNDS = 4
_MOST_OF_THEM = 95.0


@dataclass(frozen=True, slots=True)
class Wander:
    """How a dub wanders about a ridge.

    Attributes
    ----------
    middle_samples
        Median of where it lies, against the ridge.
    reach_seconds
        How far from there 95 % of it stays.
    row_seconds, row_scores : [shape=(n_rows,)]
        Middles of the correlogram's rows, and how high each peaks wherever it lies.
    """

    middle_samples: int
    reach_seconds: float
    row_seconds: NDArray[np.float64]
    row_scores: NDArray[np.float64]


def notice(picture: Correlogram, found: Ridge) -> Wander | None:
    """Look whether rows that don't stand on a ridge stand clearly beside it; None if hardly any does.

    They are looked for within 15 ms of the middle of where rows stand, which need not be the ridge: the dub may lie
    longest where it turns round.
    """
    kept = picture.blocks > 0
    rows, seconds = picture.rows[kept], picture.centre_seconds[kept]
    whole = np.rint(found.at(seconds)).astype(np.int64)
    noise = np.maximum(spread(rows), 1e-12)
    close = found.sign * ridge.straightened(rows, whole, _REACH)
    on_line = close[:, _REACH - _ON_THE_LINE : _REACH + _ON_THE_LINE + 1].max(axis=1) / noise
    if not _wanders(close.max(axis=1) / noise, on_line):  # so it is mostly, and what follows takes memory
        return None
    straight = found.sign * ridge.straightened(rows, whole, REACH_SAMPLES)
    middle = 0
    for _ in range(_ROUNDS):
        places, heights = _peaks(straight, middle)
        clear = heights / noise > _CLEAR_SCORE
        if not _wanders(heights / noise, on_line):
            return None
        before, middle = middle, int(np.median(places[clear]))
        if middle == before:
            break
    reach = float(np.percentile(np.abs(places[clear] - middle), _MOST_OF_THEM)) / ANALYSIS_RATE_HZ
    return Wander(middle, reach, seconds, np.where(clear, heights / noise, on_line))


def _wanders(scores: NDArray[np.floating], on_line: NDArray[np.floating]) -> bool:
    """Whether enough rows stand clearly somewhere, but not on the line."""
    return bool(np.mean((scores > _CLEAR_SCORE) & (on_line < ridge.CLEAR_SCORE)) >= _LEAST_SHARE)


def _peaks(straight: NDArray[np.float32], middle: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Place and height of each row's highest value within 15 ms of a middle."""
    first = min(max(REACH_SAMPLES + middle - _REACH, 0), straight.shape[1] - 2 * _REACH - 1)
    near = straight[:, first : first + 2 * _REACH + 1]
    return np.argmax(near, axis=1) + first - REACH_SAMPLES, near.max(axis=1)
