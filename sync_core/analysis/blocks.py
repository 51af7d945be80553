"""Which blocks of a dub to look for in the master, and where each may lie."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import correlation, evidence, mel, plane, ridge, speeds
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.speeds import Speed
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.analysis.witnesses import Pair

BLOCK_HOPS = (500, 1600)
"""Short blocks find short segments; long ones find faint music."""

_PEAKS_PER_BLOCK = 4
_LEAST_LOUD = 0.05
_LEAST_OPEN_SHARE = 0.2


def unexplained(pair: Pair, whole: Fit | None) -> NDArray[np.bool_]:
    """Mark the rows of 0.256 s that hold sound and that the line does not explain by itself."""
    rows = evidence.row_count(pair.dub)
    hops_per_row = BLOCK_SAMPLES / mel.HOP_SAMPLES
    energy = np.concatenate([[0.0], np.cumsum(correlation.hop_energies(pair.dub_features.values), dtype=np.float64)])
    edges = np.minimum(np.rint(np.arange(rows + 1) * hops_per_row).astype(int), energy.size - 1)
    loud = np.diff(energy[edges]) / hops_per_row > _LEAST_LOUD
    if whole is None:
        return np.asarray(loud)
    explained = np.zeros(rows, bool)
    apart = np.sort(np.diff(whole.window_seconds))
    half = apart[apart.size // 2] / 2 if apart.size else rows * BLOCK_SAMPLES / ANALYSIS_RATE_HZ
    for middle, score in zip(whole.window_seconds, whole.window_scores, strict=True):
        if score > ridge.CLEAR_SCORE:
            first, last = ((middle + side * half) * ANALYSIS_RATE_HZ / BLOCK_SAMPLES for side in (-1, 1))
            explained[max(round(first), 0) : round(min(last, rows)) + 1] = True
    return np.asarray(loud & ~explained)


def find_speed(pair: Pair, open_rows: NDArray[np.bool_] | None = None) -> Speed:
    """Find out at which speed the dub plays, where it is not explained or, not knowing that, anywhere."""
    hops = BLOCK_HOPS[-1]
    if open_rows is None:
        open_rows = unexplained(pair, None)
    starts = open_blocks(open_rows, hops, pair.dub_features.values.shape[1], step=hops // 2)
    return speeds.find(
        pair.master, pair.dub, pair.master_features, pair.dub_features, starts, hops, on_block=pair.on_block
    )


def search(pair: Pair, open_rows: NDArray[np.bool_], speed: Speed) -> list[list[BlockPeak]]:
    """Compare the blocks that hold unexplained sound with the whole master; give each block's best lags."""
    hops_of_dub = pair.dub_features.values.shape[1]
    return [
        block
        for hops in BLOCK_HOPS
        for block in best_lags(pair, open_blocks(open_rows, hops, hops_of_dub, step=hops // 2), hops, speed)
    ]


def best_lags(pair: Pair, starts: Sequence[int], block_hops: int, speed: Speed) -> list[list[BlockPeak]]:
    """Find the lags in the master at which each block is most alike, best first."""
    peaks = plane.block_peaks(
        pair.master_features,
        pair.dub_features,
        starts,
        block_hops=block_hops,
        stretch=speed.stretch,
        count=_PEAKS_PER_BLOCK,
        on_group=pair.on_block,
    )
    return [list(block) for _, block in itertools.groupby(peaks, key=lambda peak: peak.dub_hop)]


def open_blocks(open_rows: NDArray[np.bool_], hops: int, total_hops: int, *, step: int) -> list[int]:
    """First hops of blocks, every so many hops, of which enough is unexplained."""
    starts = range(0, max(total_hops - hops // 2, 1), step)
    total = np.concatenate([[0], np.cumsum(open_rows)])
    return [start for start in starts if _is_open(start, hops, total)]


def _is_open(start: int, hops: int, total: NDArray[np.int64]) -> bool:
    """Whether a fifth or more of a block is unexplained, given the running count of unexplained rows."""
    hops_per_row = BLOCK_SAMPLES / mel.HOP_SAMPLES
    first, last = (min(int(edge / hops_per_row), total.size - 1) for edge in (start, start + hops))
    return bool(total[last] - total[first] > _LEAST_OPEN_SHARE * hops / hops_per_row)
