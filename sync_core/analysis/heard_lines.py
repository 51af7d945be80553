"""Lines on which parts of a dub may lie, and how well each row of it is heard there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import blocks, clusters, mel, ridge, wow
from sync_core.analysis.anchors import Anchor
from sync_core.analysis.fit import Fit
from sync_core.analysis.line import Line
from sync_core.analysis.speeds import Speed
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.analysis.witnesses import Pair, Waveforms, Witness

_EQUAL_SHARE = 0.8
_CLEAR_SUPPORT = 60.0
_BLOCKS_APART = (4, 1)
_ROWS_ABOUT, _CLEAR_ROWS = 9, 2
_SAME_LINE_SAMPLES = 4.0


@dataclass(frozen=True, slots=True)
class Heard:
    """A confirmed fit, and how well each row of the dub agrees with its line, as `evidence.along` tells."""

    fit: Fit
    scores: NDArray[np.float64]


def listen(witness: Witness, line: Line, known: Sequence[Heard] = ()) -> Heard | None:
    """Fit a line on its span, half a block wider on either side.

    Where it is part of a line that is known already, and was listened to on all of that span, it is that one.
    """
    if whole := next((one for one in known if _is_part(line, one.fit.line)), None):
        return whole
    margin = blocks.BLOCK_HOPS[0] * mel.HOP_SAMPLES // 2
    wider = replace(line, start_sample=line.start_sample - margin, stop_sample=line.stop_sample + margin)
    fit = witness.fit(wider)
    return Heard(fit, witness.along(fit)) if fit and fit.score >= witness.least_score else None


def find_clear(pair: Pair, open_rows: NDArray[np.bool_], speed: Speed, whole: Fit | None) -> list[Heard]:
    """Fit the lines that several long blocks' best peaks lie on: most of what there is, for little work."""
    hops = blocks.BLOCK_HOPS[-1]
    witness = Waveforms(pair)
    clear: list[Heard] = []
    for blocks_apart in _BLOCKS_APART:
        starts = blocks.open_blocks(
            still_open(open_rows, clear), hops, pair.dub_features.values.shape[1], step=blocks_apart * hops
        )
        peaks = blocks.best_lags(pair, starts, hops, speed)
        best = [[peak for peak in block if peak.score > _EQUAL_SHARE * block[0].score] for block in peaks]
        anchors = [anchor for found in witness.confirm(best, speed.slopes) for anchor in found]
        lines = clusters.gather(elsewhere(anchors, whole), witness.within_samples, least_support=_CLEAR_SUPPORT)
        clear += [heard for line in lines if (heard := listen(witness, line))]
    return clear


def still_open(open_rows: NDArray[np.bool_], clear: Sequence[Heard]) -> NDArray[np.bool_]:
    """Leave out the rows at which a line is clearly heard, or about which it is."""
    explained = np.zeros(open_rows.size, bool)
    around = np.ones(_ROWS_ABOUT)
    for heard in clear:
        clearly = np.nan_to_num(heard.scores) > ridge.CLEAR_SCORE
        explained |= np.convolve(clearly, around, "same")[: explained.size] >= _CLEAR_ROWS
    return open_rows & ~explained


def _is_part(line: Line, whole: Line) -> bool:
    ends = (line.start_sample, line.stop_sample)
    within = whole.start_sample <= ends[0] and ends[1] <= whole.stop_sample
    return within and all(whole.distance(line, at) < _SAME_LINE_SAMPLES for at in ends)


def points_of(fit: Fit) -> list[Anchor]:
    """Points of a line that is known already, so that what is found anew joins it or stands beside it."""
    at = fit.window_seconds * ANALYSIS_RATE_HZ
    there = fit.line.slope * at + fit.line.lag
    return [
        Anchor(float(a), float(m), fit.line.slope, float(score))
        for a, m, score in zip(at, there, fit.window_scores, strict=True)
        if score > ridge.CLEAR_SCORE
    ]


def elsewhere(anchors: Sequence[Anchor], whole: Fit | None) -> list[Anchor]:
    """Leave out the points that lie where a dub that wanders about a line may be expected."""
    if whole is None or not whole.wow_seconds:
        return list(anchors)
    line, reach = whole.line, wow.WIDEST_SECONDS * ANALYSIS_RATE_HZ
    return [one for one in anchors if abs(one.master_sample - line.slope * one.dub_sample - line.lag) >= reach]
