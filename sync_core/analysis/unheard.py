"""Take out of a run the minutes in which its line is not heard at all.

Row by row, a line that is faint and one that is not there look alike, and a run may bridge minutes of something else
to where its line is heard again: a replacement in the middle of a dub, or all of an episode between the titles and the
credits that it shares with another. Over a minute the two differ: a faint line is heard in a pause, or in the sum.
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


def taken_out(runs: Sequence[Run], scores: NDArray[np.float64], is_heard: Callable[[int, int, int], bool]) -> list[Run]:
    """Divide runs where a minute or more of sound is unlike their line.

    Parameters
    ----------
    scores : [shape=(n_lines, n_rows)]
        As `evidence.along` gives them.
    is_heard
        Whether a line is heard in some rows as a whole: line, first row, last row + 1.
    """
    return [part for run in runs for part in ([run] if run.line == GAP else _parts(run, scores[run.line], is_heard))]


def _parts(run: Run, scores: NDArray[np.float64], is_heard: Callable[[int, int, int], bool]) -> Iterator[Run]:
    start = run.start
    for first, last in _long_unlike(run, scores):
        if is_heard(run.line, first, last):
            continue
        if first > start:
            yield Run(run.line, start, first)
        yield Run(GAP, first, last)
        start = last
    if start < run.stop:
        yield Run(run.line, start, run.stop)


def _long_unlike(run: Run, scores: NDArray[np.float64]) -> Iterator[tuple[int, int]]:
    """Rows between those that stand clearly on the line, and before and after them, if they hold enough sound."""
    rows = np.nan_to_num(scores[run.start : run.stop])
    clear = np.flatnonzero(rows > ridge.CLEAR_SCORE) + run.start
    sounding = np.concatenate([[0], np.cumsum(rows > 0.0)])
    for before, after in itertools.pairwise([run.start - 1, *clear.tolist(), run.stop]):
        if sounding[after - run.start] - sounding[before + 1 - run.start] >= LONG_ROWS:
            yield before + 1, after
