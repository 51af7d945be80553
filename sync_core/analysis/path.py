"""Choose for every moment of the dub the line it lies on, or none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GAP = -1

_CHANGE_COST = 24.0
_GAP_COST = 7.0
_GAP_COST_AT_ENDS = 5.0
"""Material of its own before or after what a dub shares is commoner than within."""
_STRONGEST = 9.0
_CHANCE = 3.0
_CLEAR = 4.0
_WEAKEST_DISSENT = 0.01
_FEW, _MOST_OF_THEM = 4, 95.0
_DISSENT, _HIGHEST_RATE = 0.3, 0.98


@dataclass(frozen=True, slots=True)
class Run:
    """Rows `start` up to `stop` lie on line number `line`; `GAP` for none."""

    line: int
    start: int
    stop: int


def emissions(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn scores into what a row adds for each line, against 0 for no line.

    Parameters
    ----------
    scores : [shape=(n_lines, n_rows)]
        As `evidence.along` gives them.

    Notes
    -----
    A row that stands out speaks for its line. One that does not speaks against it only as much as most rows of that
    line do stand out: in a dub whose music is faint, a silent witness means little.
    """
    raised = np.nan_to_num(scores, nan=0.0)
    won = (raised >= raised.max(axis=0, initial=0.0)) & (raised > _CLEAR)
    rate = np.array([_local_rate(row) for row in won])
    dissent = np.maximum(-_DISSENT * rate**2 * np.log1p(-np.minimum(rate, _HIGHEST_RATE)), _WEAKEST_DISSENT)
    gains = np.minimum(2.0 * np.log(np.maximum(raised, _CHANCE) / _CHANCE), _STRONGEST)
    out = np.where(raised > _CHANCE, gains, -dissent[:, None])
    out[raised == 0.0] = 0.0
    out[np.isnan(scores)] = -_WEAKEST_DISSENT
    return out


def _local_rate(won: NDArray[np.bool_]) -> float:
    """Share of rows that stand out, within the span in which they do, or in which most of them do.

    A few may be chance, far away.
    """
    at = np.flatnonzero(won)
    if len(at) <= _FEW:
        return 0.0
    most = at[(at >= np.percentile(at, 100.0 - _MOST_OF_THEM)) & (at <= np.percentile(at, _MOST_OF_THEM))]
    return max(float(len(some) / (some[-1] - some[0] + 1)) for some in (at, most))


def best_path(gains: NDArray[np.float64]) -> list[Run]:
    """Viterbi over the lines and the gap [gains: shape=(n_lines, n_rows)]."""
    lines, rows = gains.shape
    values = np.zeros(lines + 1)
    values[-1] = _GAP_COST - _GAP_COST_AT_ENDS
    origin = np.zeros((rows, lines + 1), np.int16)
    states = np.arange(lines + 1)
    cost = np.full((lines + 1, lines + 1), _CHANGE_COST)
    cost[-1, :] = cost[:, -1] = _GAP_COST
    np.fill_diagonal(cost, 0.0)
    for row in range(rows):
        totals = values[:, None] - cost
        origin[row] = totals.argmax(axis=0)
        values = totals[origin[row], states]
        values[:-1] += gains[:, row]
    values[-1] += _GAP_COST - _GAP_COST_AT_ENDS
    state = int(values.argmax())
    path = np.empty(rows, np.int64)
    for row in range(rows - 1, -1, -1):
        path[row] = state
        state = int(origin[row, state])
    return runs(np.where(path == lines, GAP, path))


def runs(path: NDArray[np.int64]) -> list[Run]:
    """Group equal neighbours."""
    if not len(path):
        return []
    edges = np.flatnonzero(np.diff(path)) + 1
    starts, stops = [0, *edges.tolist()], [*edges.tolist(), len(path)]
    return [Run(int(path[start]), start, stop) for start, stop in zip(starts, stops, strict=True)]
