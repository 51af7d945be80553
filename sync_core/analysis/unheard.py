"""Take out of a run the minutes in which its line is not heard at all.

Row by row, a line that is faint and one that is not there look alike, and a run may bridge minutes of something else
to where its line is heard again: a replacement in the middle of a dub, or all of an episode between the titles and the
credits that it shares with another. Over a minute the two differ: a faint line is heard in a pause, or in the sum.

A dub of which most is unlike the master shares a part with it, such as a piece of music, and is not its programme under
voices: there the part ends where it is no longer heard.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import ridge
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.path import GAP, Run
from sync_core.analysis.track import ANALYSIS_RATE_HZ

LONG_ROWS = 60 * ANALYSIS_RATE_HZ // BLOCK_SAMPLES
"""A minute: longer than speech goes on without a pause."""

SHORT_ROWS = 10 * ANALYSIS_RATE_HZ // BLOCK_SAMPLES
"""Ten seconds, for a dub that only shares a part."""
_MOSTLY = 0.5


def taken_out(runs: Sequence[Run], scores: NDArray[np.float64], is_heard: Callable[[int, int, int], bool]) -> list[Run]:
    """Divide runs where a minute or more of sound, or ten seconds in a dub that is mostly unlike, is unlike their line.

    Parameters
    ----------
    scores : [shape=(n_lines, n_rows)]
        As `evidence.along` gives them.
    is_heard
        Whether a line is heard in some rows as a whole: line, first row, last row + 1.
    """
    least = LONG_ROWS if _is_mostly_heard(runs, scores) else SHORT_ROWS
    out: list[Run] = []
    for run in runs:
        out.extend([run] if run.line == GAP else _parts(run, scores[run.line], least, is_heard))
    return out


def _is_mostly_heard(runs: Sequence[Run], scores: NDArray[np.float64]) -> bool:
    """Whether the runs, from where each is first heard to where it is last, hold most of the sound that could agree."""
    sounding = np.any(np.nan_to_num(scores) > 0.0, axis=0)
    heard = 0
    for run in runs:
        clear = _clear_rows(run, scores[run.line]) if run.line != GAP else np.zeros(0, np.int64)
        heard += int(np.count_nonzero(sounding[clear[0] : clear[-1] + 1])) if clear.size else 0
    return bool(heard >= _MOSTLY * np.count_nonzero(sounding))


def _clear_rows(run: Run, scores: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.flatnonzero(np.nan_to_num(scores[run.start : run.stop]) > ridge.CLEAR_SCORE) + run.start


def _parts(
    run: Run, scores: NDArray[np.float64], least: int, is_heard: Callable[[int, int, int], bool]
) -> Iterator[Run]:
    start = run.start
    for first, last in _long_unlike(run, scores, least):
        if is_heard(run.line, first, last):
            continue
        if first > start:
            yield Run(run.line, start, first)
        yield Run(GAP, first, last)
        start = last
    if start < run.stop:
        yield Run(run.line, start, run.stop)


def _long_unlike(run: Run, scores: NDArray[np.float64], least: int) -> Iterator[tuple[int, int]]:
    """Rows between those that stand clearly on the line, and before and after them, if they hold enough sound."""
    rows = np.nan_to_num(scores[run.start : run.stop])
    clear = _clear_rows(run, scores)
    sounding = np.concatenate([[0], np.cumsum(rows > 0.0)])
    for before, after in itertools.pairwise([run.start - 1, *clear.tolist(), run.stop]):
        if sounding[after - run.start] - sounding[before + 1 - run.start] >= least:
            yield before + 1, after
