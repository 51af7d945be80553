"""Fit one straight line to a stretch of the dub, on the waveforms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import coherence, ridge, wow
from sync_core.analysis.coherence import Correlogram
from sync_core.analysis.line import Line
from sync_core.analysis.ridge import Ridge
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track
from sync_core.analysis.wow import Wander

_BLOCKS_PER_ROW = 4
_ROWS_PER_WINDOW = 4
_MOST_ROWS = 4096
_ROUNDS = 4
_STEADY_SAMPLES = 30.0
_SIGNIFICANT = 3.5
_CLEARLY_LESS = 0.75
"""So much less than about a line of another speed must a dub wander about its own to be said to."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A line, and how well the waveforms agree with it.

    Attributes
    ----------
    score
        Height of the whole stretch's correlation on the line, in standard deviations of other delays.
    support
        Share of windows with sound that stand clearly on the line by themselves.
    offset_error
        Standard error of the line at `middle_seconds` (dub time), seconds.
    slope_error
        Standard error of the slope (a ratio).
    sign
        -1 where one side is inverted.
    window_seconds, window_scores : [shape=(n_windows,)]
        Middles of the windows in dub time from its first sample, and their heights on the line.
    wow_seconds
        How far the dub wanders about the line, if it does.
    on_waveforms
        Whether the waveforms themselves agree; False where only the loudness of their bands does.
    """

    line: Line
    score: float
    support: float
    offset_error: float
    slope_error: float
    middle_seconds: float
    sign: int
    window_seconds: NDArray[np.float64]
    window_scores: NDArray[np.float64]
    wow_seconds: float = 0.0
    on_waveforms: bool = True


def fit_line(master: Track, dub: Track, line: Line, *, on_block: Callable[[int], None]) -> Fit | None:
    """Fit offset and speed near a line; None if too little sound meets there.

    The line moves to where the waveforms agree, up to 60 ms away at first, and the picture is taken again until it
    moves no more: so a drift that leaves the picture is followed as far as it goes.
    """
    given = line
    looks: list[tuple[Correlogram, Ridge]] = []
    for _ in range(_ROUNDS):
        starts = coherence.block_starts(line, master.samples.size, dub.samples.size)
        if not len(starts):
            return None
        per_row = blocks_per_row(len(starts))
        picture = coherence.correlogram(master, dub, line, starts, blocks_per_row=per_row, on_block=on_block)
        found = ridge.find(picture, window_rows=_ROWS_PER_WINDOW if len(picture.rows) >= 4 * _ROWS_PER_WINDOW else 1)
        if found is None:
            return None
        looks = [*looks[:1], (picture, found)]
        moved = moved_by(line, found)
        steady = _furthest(line, moved) < _STEADY_SAMPLES
        line = moved
        if steady:
            break
    fit = _wandering(line, *looks[-1])
    if not fit.wow_seconds or line.slope == given.slope:
        return fit
    level = _level(given, *looks[0])
    return level if 0.0 < level.wow_seconds < _CLEARLY_LESS * fit.wow_seconds else fit


def _wandering(line: Line, picture: Correlogram, found: Ridge) -> Fit:
    """Make a fit of a ridge; if the dub wanders about it, of the middle of where it does."""
    fit = _as_fit(line, found)
    wander = wow.notice(picture, found)
    return _with_wow(fit, wander) if wander else fit


def _level(line: Line, picture: Correlogram, found: Ridge) -> Fit:
    """Make a fit that keeps the line's own speed: a swing that lasts as long as the dub looks like a drift in parts."""
    level = replace(found, slope=0.0, delay=float(found.at(found.middle_seconds)))
    return _wandering(replace(line, lag=line.lag + level.delay * line.slope), picture, level)


def blocks_per_row(blocks: int) -> int:
    """Choose about a second's worth: less for a short stretch, more for one of hours."""
    return max(min(_BLOCKS_PER_ROW, blocks // 6), -(-blocks // _MOST_ROWS), 1)


def moved_by(line: Line, found: Ridge) -> Line:
    """Add a ridge's residual to the line that the picture was taken along.

    A slope that does not stand out from its own error is none: the ridge then counts as level at its middle.
    """
    level = abs(found.slope) < _SIGNIFICANT * found.slope_error
    slope = 0.0 if level else found.slope
    delay = found.delay + (found.slope * found.middle_seconds if level else 0.0)
    return replace(line, lag=line.lag + delay * line.slope, slope=line.slope * (1.0 + slope / ANALYSIS_RATE_HZ))


def _furthest(one: Line, other: Line) -> float:
    """Greatest distance of two lines over their common span, samples."""
    ends = np.array([one.start_sample, one.stop_sample], np.int64)
    return float(np.abs(one.master_samples(ends) - other.master_samples(ends)).max())


def _with_wow(fit: Fit, wander: Wander) -> Fit:
    """Lay the line through the middle of where the dub wanders, and let its windows count wherever they peak."""
    rises = np.maximum(wander.row_scores - ridge.CLEAR_SCORE, 0.0)
    return replace(
        fit,
        line=replace(fit.line, lag=fit.line.lag + wander.middle_samples * fit.line.slope),
        score=max(fit.score, float(np.sqrt(np.square(rises).sum()))),
        support=float(np.mean(wander.row_scores > ridge.CLEAR_SCORE)),
        window_seconds=wander.row_seconds,
        window_scores=wander.row_scores,
        wow_seconds=wander.reach_seconds,
    )


def _as_fit(line: Line, found: Ridge) -> Fit:
    return Fit(
        line=line,
        score=found.score,
        support=float(np.mean(found.window_scores > ridge.CLEAR_SCORE)),
        offset_error=found.delay_error / ANALYSIS_RATE_HZ,
        slope_error=found.slope_error / ANALYSIS_RATE_HZ,
        middle_seconds=found.middle_seconds,
        sign=found.sign,
        window_seconds=found.window_seconds,
        window_scores=found.window_scores,
    )
