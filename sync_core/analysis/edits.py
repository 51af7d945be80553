"""Divide a dub into stretches that each lie on one line, or on none."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import (
    clusters,
    correlation,
    evidence,
    mel,
    pieces,
    plane,
    repeats,
    ridge,
    speeds,
    unheard,
    wow,
)
from sync_core.analysis.anchors import Anchor
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit
from sync_core.analysis.line import Line
from sync_core.analysis.path import GAP, Run
from sync_core.analysis.pieces import Piece, Stretch
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.speeds import Speed
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.analysis.witnesses import Envelopes, Pair, Waveforms, Witness

BLOCK_HOPS = (500, 1600)
"""Short blocks find short segments; long ones find faint music."""

_PEAKS_PER_BLOCK = 4
_LEAST_PEAK = 4.5
_RIVAL_SHARE = 0.4
_LEAST_LOUD = 0.05
_MOSTLY = 0.5
_CLEARLY_MORE = 1.5
"""So much more than waveforms, which are exact, must envelopes explain to be believed instead."""
_LEAST_SUPPORT = 0.3
_LEAST_OPEN_SHARE = 0.2
_EQUAL_SHARE = 0.8
_CLEAR_SUPPORT = 60.0
_BLOCKS_APART = (4, 1)
_ROWS_ABOUT, _CLEAR_ROWS = 9, 2
_SAME_SAMPLES = 0.06 * ANALYSIS_RATE_HZ
_SAME_LINE_SAMPLES = 4.0
_LEANING_SAMPLES = 1e-3 * ANALYSIS_RATE_HZ


@dataclass(frozen=True, slots=True)
class _Heard:
    """A confirmed fit, and how well each row of the dub agrees with its line, as `evidence.along` tells."""

    fit: Fit
    scores: NDArray[np.float64]


def divide(pair: Pair, whole: Fit | None, speed: Speed | None = None) -> list[Piece]:
    """Find the pieces that a dub consists of.

    Parameters
    ----------
    whole
        The best single line, if one was confirmed. Only where the dub does not agree with it is anything else looked
        for.
    speed
        The speed that the dub plays at as a whole, if that was asked already.

    Returns
    -------
    pieces
        In dub order, without overlap, from the dub's first sample to its last; empty if nothing was confirmed.
    """
    open_rows = unexplained(pair, whole)
    if whole and not open_rows.any():
        return [Piece(whole, 0, pair.dub.samples.size)]
    if whole and open_rows.mean() <= _MOSTLY:
        speed = Speed(1.0, (whole.line.slope,))
    elif whole or speed is None:
        speed = find_speed(pair, open_rows)
    clear = _clear_lines(pair, open_rows, speed, whole)
    blocks = search(pair, _left(open_rows, clear), speed)
    if whole and not (clear or blocks):  # what is open is too short to be looked for
        return [Piece(whole, 0, pair.dub.samples.size)]
    found = _divided(pair, Waveforms(pair), blocks, speed.slopes, clear, whole)
    if whole:
        return found if _keeps(found, whole) else [Piece(whole, 0, pair.dub.samples.size)]
    if _covered(found) > _MOSTLY:
        return found
    by_envelopes = _divided(pair, Envelopes(pair), search(pair, open_rows, speed), (), [], None)
    return by_envelopes if _covered(by_envelopes) > _CLEARLY_MORE * _covered(found) else found


def _clear_lines(pair: Pair, open_rows: NDArray[np.bool_], speed: Speed, whole: Fit | None) -> list[_Heard]:
    """Fit the lines that several long blocks' best peaks lie on: most of what there is, for little work."""
    hops = BLOCK_HOPS[-1]
    witness = Waveforms(pair)
    clear: list[_Heard] = []
    for blocks_apart in _BLOCKS_APART:
        left = _left(open_rows, clear)
        starts = _open_blocks(left, hops, pair.dub_features.values.shape[1], step=blocks_apart * hops)
        blocks = _best_lags(pair, starts, hops, speed)
        best = [[peak for peak in block if peak.score > _EQUAL_SHARE * block[0].score] for block in blocks]
        anchors = [anchor for found in witness.confirm(best, speed.slopes) for anchor in found]
        lines = clusters.gather(_elsewhere(anchors, whole), witness.within_samples, least_support=_CLEAR_SUPPORT)
        clear += [heard for line in lines if (heard := _heard(witness, line))]
    return clear


def _left(open_rows: NDArray[np.bool_], clear: Sequence[_Heard]) -> NDArray[np.bool_]:
    """Leave out the rows at which a line is clearly heard, or about which it is."""
    explained = np.zeros(open_rows.size, bool)
    around = np.ones(_ROWS_ABOUT)
    for heard in clear:
        clearly = np.nan_to_num(heard.scores) > ridge.CLEAR_SCORE
        explained |= np.convolve(clearly, around, "same")[: explained.size] >= _CLEAR_ROWS
    return open_rows & ~explained


def _keeps(pieces: Sequence[Piece], whole: Fit) -> bool:
    """Whether pieces may stand for the whole: the line that most of the dub lies on must be among them."""
    if whole.support < _MOSTLY:
        return bool(pieces)
    middles = [(piece.fit.line, (piece.start + piece.stop) // 2) for piece in pieces if piece.fit]
    return any(line.distance(whole.line, at) < _SAME_SAMPLES for line, at in middles)


def _covered(pieces: Sequence[Piece]) -> float:
    """Share of the dub whose windows stand on the pieces' lines."""
    whole = sum(piece.stop - piece.start for piece in pieces)
    return sum(piece.fit.support * (piece.stop - piece.start) for piece in pieces if piece.fit) / max(whole, 1)


def _divided(
    pair: Pair,
    witness: Witness,
    blocks: Sequence[Sequence[BlockPeak]],
    slopes: Sequence[float],
    clear: Sequence[_Heard],
    whole: Fit | None,
) -> list[Piece]:
    """Let a witness confirm what the blocks found, gather it into lines, and divide the dub among them."""
    found = _elsewhere(_confirm(witness, blocks, slopes), whole)
    fits = [*([whole] if whole else []), *(heard.fit for heard in clear)]
    points = [point for fit in fits for point in _witnesses(fit)]
    lines = clusters.gather([*points, *found], witness.within_samples)
    everything = [heard for line in lines if (heard := _known(line, clear) or _heard(witness, line))]
    return _pieces(pair, witness, everything) if everything else []


def _known(line: Line, clear: Sequence[_Heard]) -> _Heard | None:
    """Find the clear line that a line was gathered from, if it was listened to on all of that line's span."""
    return next((one for one in clear if _is_part(line, one.fit.line)), None)


def _is_part(line: Line, whole: Line) -> bool:
    ends = (line.start_sample, line.stop_sample)
    within = whole.start_sample <= ends[0] and ends[1] <= whole.stop_sample
    return within and all(whole.distance(line, at) < _SAME_LINE_SAMPLES for at in ends)


def _heard(witness: Witness, line: Line) -> _Heard | None:
    """Fit a line on its span, half a block wider on either side."""
    margin = BLOCK_HOPS[0] * mel.HOP_SAMPLES // 2
    wider = replace(line, start_sample=line.start_sample - margin, stop_sample=line.stop_sample + margin)
    fit = witness.fit(wider)
    return _Heard(fit, witness.along(fit)) if fit and fit.score >= witness.least_score else None


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
    half = (
        np.median(np.diff(whole.window_seconds)) / 2
        if len(whole.window_seconds) > 1
        else rows * BLOCK_SAMPLES / ANALYSIS_RATE_HZ
    )
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
    starts = _open_blocks(open_rows, hops, pair.dub_features.values.shape[1], step=hops // 2)
    return speeds.find(
        pair.master, pair.dub, pair.master_features, pair.dub_features, starts, hops, on_block=pair.on_block
    )


def search(pair: Pair, open_rows: NDArray[np.bool_], speed: Speed) -> list[list[BlockPeak]]:
    """Compare the blocks that hold unexplained sound with the whole master; give each block's best lags."""
    hops_of_dub = pair.dub_features.values.shape[1]
    return [
        block
        for hops in BLOCK_HOPS
        for block in _best_lags(pair, _open_blocks(open_rows, hops, hops_of_dub, step=hops // 2), hops, speed)
    ]


def _best_lags(pair: Pair, starts: Sequence[int], block_hops: int, speed: Speed) -> list[list[BlockPeak]]:
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


def _open_blocks(open_rows: NDArray[np.bool_], hops: int, total_hops: int, *, step: int) -> list[int]:
    """First hops of blocks, every so many hops, of which enough is unexplained."""
    starts = range(0, max(total_hops - hops // 2, 1), step)
    total = np.concatenate([[0], np.cumsum(open_rows)])
    return [start for start in starts if _is_open(start, hops, total)]


def _is_open(start: int, hops: int, total: NDArray[np.int64]) -> bool:
    """Whether a fifth or more of a block is unexplained, given the running count of unexplained rows."""
    hops_per_row = BLOCK_SAMPLES / mel.HOP_SAMPLES
    first, last = (min(int(edge / hops_per_row), total.size - 1) for edge in (start, start + hops))
    return bool(total[last] - total[first] > _LEAST_OPEN_SHARE * hops / hops_per_row)


def _confirm(witness: Witness, blocks: Sequence[Sequence[BlockPeak]], slopes: Sequence[float]) -> list[Anchor]:
    """Confirm blocks' peaks; those far below a block's best are echoes of it, such as repeats in the music."""
    likely = [
        [peak for peak in block if peak.score > max(_LEAST_PEAK, _RIVAL_SHARE * block[0].score)] for block in blocks
    ]
    found: list[Anchor] = []
    for anchors in witness.confirm([block for block in likely if block], slopes):
        best = max((anchor.score for anchor in anchors), default=0.0)
        found += [anchor for anchor in anchors if anchor.score >= _RIVAL_SHARE * best]
    return found


def _witnesses(fit: Fit) -> list[Anchor]:
    """Points of a line that is known already, so that what is found anew joins it or stands beside it."""
    at = fit.window_seconds * ANALYSIS_RATE_HZ
    there = fit.line.slope * at + fit.line.lag
    return [
        Anchor(float(a), float(m), fit.line.slope, float(score))
        for a, m, score in zip(at, there, fit.window_scores, strict=True)
        if score > ridge.CLEAR_SCORE
    ]


def _elsewhere(anchors: Sequence[Anchor], whole: Fit | None) -> list[Anchor]:
    """Leave out the points that lie where a dub that wanders about a line may be expected."""
    if whole is None or not whole.wow_seconds:
        return list(anchors)
    line, reach = whole.line, wow.WIDEST_SECONDS * ANALYSIS_RATE_HZ
    return [one for one in anchors if abs(one.master_sample - line.slope * one.dub_sample - line.lag) >= reach]


def _pieces(pair: Pair, witness: Witness, everything: Sequence[_Heard]) -> list[Piece]:
    fits = [heard.fit for heard in everything]
    scores = np.array([heard.scores for heard in everything])
    if not scores.shape[1]:
        return [Piece(fits[0], 0, pair.dub.samples.size)]
    runs = repeats.runs_without_repeats(fits, scores)
    runs = unheard.taken_out(runs, scores, lambda *rows: _is_heard(witness, fits, *rows))
    return pieces.join(pair.dub.samples, witness, _refitted(witness, runs, fits, scores))


def _is_heard(witness: Witness, fits: Sequence[Fit], line: int, first_row: int, last_row: int) -> bool:
    """Whether the sum of some rows stands on a line, as far from it as the line may wander."""
    whole = fits[line].line
    span = replace(whole, start_sample=first_row * BLOCK_SAMPLES, stop_sample=last_row * BLOCK_SAMPLES)
    fit = witness.fit(span)
    within = witness.within_samples + fits[line].wow_seconds * ANALYSIS_RATE_HZ
    middle = (span.start_sample + span.stop_sample) // 2
    return fit is not None and fit.score >= witness.least_score and fit.line.distance(whole, middle) <= within


def _refitted(witness: Witness, runs: Sequence[Run], fits: Sequence[Fit], scores: NDArray[np.float64]) -> list[Stretch]:
    """Fit each run on its own span."""
    stretches: list[Stretch] = []
    for run in runs:
        if run.line == GAP:
            continue
        span = replace(
            fits[run.line].line, start_sample=run.start * BLOCK_SAMPLES, stop_sample=run.stop * BLOCK_SAMPLES
        )
        fit = witness.fit(span)
        if fits[run.line].wow_seconds and not (fit and _is_steady(fit, span)):
            fit = replace(fits[run.line], line=span)
        clear = np.flatnonzero(scores[run.line, run.start : run.stop] > ridge.CLEAR_SCORE)
        if not clear.size:
            continue
        first, last = (int(run.start + at) * BLOCK_SAMPLES for at in (clear[0], clear[-1] + 1))
        if fit and fit.support < _LEAST_SUPPORT:
            fit = witness.fit(replace(span, start_sample=first, stop_sample=last))
        if fit and fit.score >= witness.least_score and fit.support >= _LEAST_SUPPORT:
            stretches.append(Stretch(fit, first, last))
    return stretches


def _is_steady(fit: Fit, line: Line) -> bool:
    """Whether a fit neither wanders nor leans away from the line it was looked for along: a small step, and no wow."""
    leaning = abs(fit.line.slope - line.slope) * (line.stop_sample - line.start_sample)
    return not fit.wow_seconds and leaning < _LEANING_SAMPLES
