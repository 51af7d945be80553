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
from sync_core.analysis.track import ANALYSIS_RATE_HZ

WIDEST_SECONDS = 0.015
"""A step of this much or more is an edit; the shortest are one video frame."""

_REACH = int(WIDEST_SECONDS * ANALYSIS_RATE_HZ)
_ON_THE_LINE = 4
_CLEAR_SCORE = 7.0
_LEAST_SHARE = 0.1
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

    middle_samples: float
    reach_seconds: float
    row_seconds: NDArray[np.float64]
    row_scores: NDArray[np.float64]


def notice(picture: Correlogram, found: Ridge) -> Wander | None:
    """Look whether rows that don't stand on a ridge stand clearly beside it, within 15 ms; None if hardly any does."""
    kept = picture.blocks > 0
    rows, seconds = picture.rows[kept], picture.centre_seconds[kept]
    whole = np.rint(found.at(seconds)).astype(np.int64)
    near = found.sign * ridge.straightened(rows, whole)[:, REACH_SAMPLES - _REACH : REACH_SAMPLES + _REACH + 1]
    noise = np.maximum(ridge.spread(rows), 1e-12)
    places = np.argmax(near, axis=1) - _REACH
    heights = near.max(axis=1) / noise
    on_line = near[:, _REACH - _ON_THE_LINE : _REACH + _ON_THE_LINE + 1].max(axis=1) / noise
    beside = (heights > _CLEAR_SCORE) & (on_line < ridge.CLEAR_SCORE)
    if beside.mean() < _LEAST_SHARE:
        return None
    clear = heights > _CLEAR_SCORE
    middle = float(np.median(places[clear]))
    reach = float(np.percentile(np.abs(places[clear] - middle), _MOST_OF_THEM)) / ANALYSIS_RATE_HZ
    return Wander(middle, reach, seconds, np.where(clear, heights, on_line))
