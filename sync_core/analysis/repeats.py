"""Choose for each moment of the dub one line, when a programme that repeats itself agrees with several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import path, ridge
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit
from sync_core.analysis.line import Line
from sync_core.analysis.path import GAP, Run
from sync_core.analysis.track import ANALYSIS_RATE_HZ

_Alike = Callable[[Line, Line, int, int], bool]

_LONGEST_REPEAT_SECONDS = 60.0
_SHARED = 0.6
_ENOUGH = 0.25
_AS_HIGH = 0.5
_AS_WELL = 0.9
_MOSTLY = 0.5
_SHORTEST_PERIOD_SECONDS = 0.2


def runs_without_repeats(fits: Sequence[Fit], scores: NDArray[np.float64], master_repeats: _Alike) -> list[Run]:
    """Find the likeliest way through the lines on which nothing is an echo of what the programme plays twice.

    Parameters
    ----------
    scores : [shape=(n_fits, n_rows)]
        As `evidence.along` gives them.
    master_repeats
        Whether the master is alike where two lines put a stretch of the dub, as `witnesses.master_repeats` tells.
    """
    gains = path.emissions(scores)
    runs = path.best_path(gains)
    heard = _Heard(gains, np.nan_to_num(scores), ~np.isnan(scores))
    while repeats := _repeats(runs, fits, heard, master_repeats):
        for weak in repeats:
            gains[weak.line, weak.start : weak.stop] = -1.0
        runs = path.best_path(gains)
    return runs


@dataclass(frozen=True, slots=True)
class _Heard:
    """How each row of the dub agrees with each line [shape=(n_lines, n_rows)].

    Attributes
    ----------
    gains
        What a row adds for a line; changed as runs are struck out.
    heights
        How high it stands, 0 where the master has no counterpart.
    met
        Whether the master has a counterpart of it.
    """

    gains: NDArray[np.float64]
    heights: NDArray[np.float64]
    met: NDArray[np.bool_]

    def clear(self, line: int) -> NDArray[np.bool_]:
        """Whether each row stands out on a line."""
        return np.asarray(self.heights[line] > ridge.CLEAR_SCORE)

    def share(self, line: int, run: Run) -> float:
        """Share of a run's rows that stand out on a line, and about as high as on the run's own.

        Rows that have no counterpart do not count if there are enough of the others.
        """
        rows = slice(run.start, run.stop)
        met = int(np.count_nonzero(self.met[line, rows]))
        of = met if met >= _ENOUGH * (run.stop - run.start) else run.stop - run.start
        as_high = self.heights[line, rows] >= _AS_HIGH * self.heights[run.line, rows]
        return float(np.count_nonzero(self.clear(line)[rows] & as_high) / of)


def _repeats(runs: Sequence[Run], fits: Sequence[Fit], heard: _Heard, master_repeats: _Alike) -> list[Run]:
    """Find the runs that are echoes of stronger ones: music or a line that the programme plays again.

    Only of a dub that is mostly the master's programme may scenes have changed their order.
    """
    kept, repeats = _parted(runs, fits, heard, lambda *_: True)
    if not repeats or sum(run.stop - run.start for run in kept) <= _MOSTLY * heard.gains.shape[1]:
        return repeats
    return _parted(runs, fits, heard, master_repeats)[1]


def _parted(
    runs: Sequence[Run], fits: Sequence[Fit], heard: _Heard, master_repeats: _Alike
) -> tuple[list[Run], list[Run]]:
    """Part runs into those to keep and echoes of them."""
    kept: list[Run] = []
    repeats: list[Run] = []
    for run in sorted((run for run in runs if run.line != GAP), key=lambda run: -_total(run, heard.gains)):
        is_repeat = any(_repeated(run, stronger, fits, heard, master_repeats) for stronger in kept)
        (repeats if is_repeat or (kept and _is_one_of_many(run, fits, heard)) else kept).append(run)
    return kept, repeats


def _repeated(run: Run, stronger: Run, fits: Sequence[Fit], heard: _Heard, master_repeats: _Alike) -> bool:
    """Whether one run is an echo of another.

    The stronger run's line is clearly heard in it too, as all repeats of a loop are; or its stretch of the master is
    the stronger run's already; or it is short and goes back in the master while the dub goes on, and the master is
    alike on both lines, or ends before it on the stronger one.
    """
    is_shared = heard.share(stronger.line, run) > _SHARED * heard.share(run.line, run)
    if is_shared and _apart(run, stronger, fits):
        return True
    weak = _trimmed(_trimmed(run, heard.gains[run.line] > 0), heard.clear(run.line))
    sure = _trimmed(stronger, heard.clear(stronger.line))
    low, high = _master_span(weak, fits)
    a, b = _master_span(sure, fits)
    if min(b, high) - max(a, low) > 0.5 * (high - low):
        return True
    voices = int(np.count_nonzero(heard.gains[run.line, run.start : run.stop] > 0))
    is_short = voices * BLOCK_SAMPLES <= _LONGEST_REPEAT_SECONDS * ANALYSIS_RATE_HZ
    is_out_of_order = (weak.start > sure.start) != (low > a)
    if not (is_short and is_out_of_order):
        return False
    if heard.met[stronger.line, weak.start : weak.stop].mean() <= _MOSTLY:
        return True
    ends = weak.start * BLOCK_SAMPLES, weak.stop * BLOCK_SAMPLES
    return master_repeats(fits[run.line].line, fits[stronger.line].line, *ends)


def _is_one_of_many(run: Run, fits: Sequence[Fit], heard: _Heard) -> bool:
    """Whether a run is heard as well on another line: the beeps of a leader fit at every second."""
    enough = _AS_WELL * heard.share(run.line, run)
    others = (line for line in range(len(fits)) if _apart(run, replace(run, line=line), fits))
    return any(heard.share(line, run) >= enough for line in others)


def _trimmed(run: Run, heard: NDArray[np.bool_]) -> Run:
    """Let a run begin and end where it is heard."""
    at = np.flatnonzero(heard[run.start : run.stop])
    return Run(run.line, run.start + int(at[0]), run.start + int(at[-1]) + 1) if at.size else run


def _apart(run: Run, other: Run, fits: Sequence[Fit]) -> bool:
    """Whether two runs lie on lines that a repeat in the programme could be the reason of."""
    step = fits[run.line].line.distance(fits[other.line].line, run.start * BLOCK_SAMPLES)
    return step > _SHORTEST_PERIOD_SECONDS * ANALYSIS_RATE_HZ


def _total(run: Run, gains: NDArray[np.float64]) -> float:
    return float(gains[run.line, run.start : run.stop].sum())


def _master_span(run: Run, fits: Sequence[Fit]) -> tuple[float, float]:
    ends = fits[run.line].line.master_samples(np.array([run.start, run.stop], np.int64) * BLOCK_SAMPLES)
    return float(ends[0]), float(ends[1])
