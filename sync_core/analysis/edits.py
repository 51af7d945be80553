"""Divide a dub into stretches that each lie on one line, or on none."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import anchors, boundaries, clusters, correlation, evidence, mel, path, plane, ridge, speeds
from sync_core.analysis.anchors import Anchor
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit, fit_line
from sync_core.analysis.line import Line
from sync_core.analysis.methods.base import Features
from sync_core.analysis.path import GAP, Run
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.speeds import Speed
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track

BLOCK_HOPS = (500, 1600)
"""Short blocks find short segments; long ones find faint music."""

_PEAKS_PER_BLOCK = 4
_LEAST_PEAK = 4.5
_RIVAL_SHARE = 0.4
_LEAST_LOUD = 0.05
_MOSTLY = 0.5
_LEAST_OPEN_SHARE = 0.2
_CONFIRMED = 9.0
_JOIN_MARGIN_SAMPLES = ANALYSIS_RATE_HZ
_SHORTEST_REPEAT_SECONDS = 12.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Dub samples `start` up to `stop`, and the fit of the line they lie on; None where there is none."""

    fit: Fit | None
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """A confirmed fit, and the dub samples of the first and the last row that clearly lie on it."""

    fit: Fit
    first_clear: int
    last_clear: int


@dataclass(frozen=True, slots=True)
class Pair:
    """Both sides, and the features that blocks are compared by."""

    master: Track
    dub: Track
    master_features: Features
    dub_features: Features
    on_block: Callable[[int], None]


def divide(pair: Pair, whole: Fit | None) -> list[Piece]:
    """Find the pieces that a dub consists of.

    Parameters
    ----------
    whole
        The best single line, if one was confirmed. Only where the dub does not agree with it is anything else looked
        for.

    Returns
    -------
    pieces
        In dub order, without overlap, from the dub's first sample to its last; empty if nothing was confirmed.
    """
    open_rows = unexplained(pair.dub_features, whole, evidence.row_count(pair.dub))
    if whole and not open_rows.any():
        return [Piece(whole, 0, pair.dub.samples.size)]
    speed = Speed(1.0, (whole.line.slope,)) if whole else None
    if speed is None or open_rows.mean() > _MOSTLY:
        speed = _speed(pair, open_rows)
    found = search(pair, open_rows, speed)
    lines = clusters.gather([*_witnesses(whole), *found])
    fits = [fit for line in lines if (fit := _confirmed(pair, line))]
    if whole and not fits:
        return [Piece(whole, 0, pair.dub.samples.size)]
    return _pieces(pair, fits)


def unexplained(dub: Features, whole: Fit | None, rows: int) -> NDArray[np.bool_]:
    """Mark the rows of 0.256 s that hold sound and that the line does not explain by itself."""
    hops_per_row = BLOCK_SAMPLES / mel.HOP_SAMPLES
    energy = np.concatenate([[0.0], np.cumsum(correlation.hop_energies(dub.values), dtype=np.float64)])
    edges = np.minimum(np.rint(np.arange(rows + 1) * hops_per_row).astype(int), energy.size - 1)
    loud = np.diff(energy[edges]) / hops_per_row > _LEAST_LOUD
    if whole is None:
        return np.asarray(loud)
    explained = np.zeros(rows, bool)
    half = np.median(np.diff(whole.window_seconds)) / 2 if len(whole.window_seconds) > 1 else np.inf
    for middle, score in zip(whole.window_seconds, whole.window_scores, strict=True):
        if score > ridge.CLEAR_SCORE:
            first, last = ((middle + side * half) * ANALYSIS_RATE_HZ / BLOCK_SAMPLES for side in (-1, 1))
            explained[max(round(first), 0) : round(min(last, rows)) + 1] = True
    return np.asarray(loud & ~explained)


def _speed(pair: Pair, open_rows: NDArray[np.bool_]) -> Speed:
    hops = BLOCK_HOPS[-1]
    starts = _open_blocks(open_rows, hops, pair.dub_features.values.shape[1])
    return speeds.find(
        pair.master, pair.dub, pair.master_features, pair.dub_features, starts, hops, on_block=pair.on_block
    )


def search(pair: Pair, open_rows: NDArray[np.bool_], speed: Speed) -> list[Anchor]:
    """Compare the blocks that hold unexplained sound with the whole master, and confirm what they find."""
    peaks: list[BlockPeak] = []
    for hops in BLOCK_HOPS:
        starts = _open_blocks(open_rows, hops, pair.dub_features.values.shape[1])
        peaks += plane.block_peaks(
            pair.master_features,
            pair.dub_features,
            starts,
            block_hops=hops,
            stretch=speed.stretch,
            count=_PEAKS_PER_BLOCK,
            on_group=pair.on_block,
        )
    found: list[Anchor] = []
    for block in _by_block(peaks):
        found += _confirm_block(pair, block, speed.slopes)
    return found


def _open_blocks(open_rows: NDArray[np.bool_], hops: int, total_hops: int) -> list[int]:
    """First hops of half-overlapping blocks of which a fifth or more is unexplained."""
    hops_per_row = BLOCK_SAMPLES / mel.HOP_SAMPLES
    starts = range(0, max(total_hops - hops // 2, 1), hops // 2)
    total = np.concatenate([[0], np.cumsum(open_rows)])
    rows = [min(int(edge / hops_per_row), open_rows.size) for start in starts for edge in (start, start + hops)]
    return [
        start
        for start, first, last in zip(starts, rows[::2], rows[1::2], strict=True)
        if total[last] - total[first] > _LEAST_OPEN_SHARE * hops / hops_per_row
    ]


def _by_block(peaks: Sequence[BlockPeak]) -> list[list[BlockPeak]]:
    blocks: dict[tuple[int, int], list[BlockPeak]] = {}
    for peak in peaks:
        blocks.setdefault((peak.dub_hop, peak.dub_hops), []).append(peak)
    return list(blocks.values())


def _confirm_block(pair: Pair, peaks: Sequence[BlockPeak], slopes: Sequence[float]) -> list[Anchor]:
    """Confirm a block's peaks; those far below the block's best are echoes of it, such as repeats in the music."""
    likely = [peak for peak in peaks if peak.score > max(_LEAST_PEAK, _RIVAL_SHARE * peaks[0].score)]
    found = anchors.confirm(pair.master, pair.dub, likely, slopes, on_block=pair.on_block)
    best = max((anchor.score for anchor in found), default=0.0)
    return [anchor for anchor in found if anchor.score >= _RIVAL_SHARE * best]


def _witnesses(whole: Fit | None) -> list[Anchor]:
    """Points of the line that is known already, so that what is found anew joins it or stands beside it."""
    if whole is None:
        return []
    at = whole.window_seconds * ANALYSIS_RATE_HZ
    there = whole.line.slope * at + whole.line.lag
    return [
        Anchor(float(a), float(m), whole.line.slope, float(score))
        for a, m, score in zip(at, there, whole.window_scores, strict=True)
        if score > ridge.CLEAR_SCORE
    ]


def _confirmed(pair: Pair, line: Line) -> Fit | None:
    """Fit a line on its span, half a block wider on either side."""
    margin = BLOCK_HOPS[0] * mel.HOP_SAMPLES // 2
    wider = replace(line, start_sample=line.start_sample - margin, stop_sample=line.stop_sample + margin)
    fit = fit_line(pair.master, pair.dub, wider, on_block=pair.on_block)
    return fit if fit and fit.score >= _CONFIRMED else None


def _pieces(pair: Pair, fits: Sequence[Fit]) -> list[Piece]:
    if not fits:
        return []
    scores = np.array([evidence.along(pair.master, pair.dub, fit.line, on_block=pair.on_block) for fit in fits])
    if not scores.shape[1]:
        return [Piece(fits[0], 0, pair.dub.samples.size)]
    gains = path.emissions(scores)
    runs = path.best_path(gains)
    while (weak := _repeat(runs, fits, gains)) is not None:
        gains[weak.line, weak.start : weak.stop] = -1.0
        runs = path.best_path(gains)
    return _joined(pair, _refitted(pair, runs, fits, scores))


def _repeat(runs: Sequence[Run], fits: Sequence[Fit], gains: NDArray[np.float64]) -> Run | None:
    """Find a short run whose stretch of the master is another run's already: music that repeats itself."""
    known = sorted((run for run in runs if run.line != GAP), key=lambda run: -_total(run, gains))
    for place, run in enumerate(known):
        voices = np.flatnonzero(gains[run.line, run.start : run.stop] > 0)
        if voices.size * BLOCK_SAMPLES > _SHORTEST_REPEAT_SECONDS * ANALYSIS_RATE_HZ:
            continue
        heard = Run(run.line, run.start + int(voices[0]), run.start + int(voices[-1]) + 1) if voices.size else run
        low, high = _master_span(heard, fits)
        for stronger in known[:place]:
            a, b = _master_span(stronger, fits)
            if min(b, high) - max(a, low) > 0.5 * (high - low):
                return run
    return None


def _total(run: Run, gains: NDArray[np.float64]) -> float:
    return float(gains[run.line, run.start : run.stop].sum())


def _master_span(run: Run, fits: Sequence[Fit]) -> tuple[float, float]:
    ends = fits[run.line].line.master_samples(np.array([run.start, run.stop], np.int64) * BLOCK_SAMPLES)
    return float(ends[0]), float(ends[1])


def _refitted(pair: Pair, runs: Sequence[Run], fits: Sequence[Fit], scores: NDArray[np.float64]) -> list[_Stretch]:
    """Fit each run on its own span."""
    stretches: list[_Stretch] = []
    for run in runs:
        if run.line == GAP:
            continue
        span = replace(
            fits[run.line].line, start_sample=run.start * BLOCK_SAMPLES, stop_sample=run.stop * BLOCK_SAMPLES
        )
        fit = fit_line(pair.master, pair.dub, span, on_block=pair.on_block)
        clear = np.flatnonzero(scores[run.line, run.start : run.stop] > ridge.CLEAR_SCORE)
        if fit and fit.score >= _CONFIRMED and clear.size:
            first, last = (int(run.start + at) * BLOCK_SAMPLES for at in (clear[0], clear[-1] + 1))
            stretches.append(_Stretch(fit, first, last))
    return stretches


def _joined(pair: Pair, stretches: Sequence[_Stretch]) -> list[Piece]:
    """Place starts and ends; what is left between stretches, before and after them becomes pieces without a line."""
    if not stretches:
        return []
    joins = [_join(pair, one, other) for one, other in itertools.pairwise(stretches)]
    starts = [_outer_start(pair, stretches[0]), *(join.start_sample for join in joins)]
    stops = [*(join.end_sample for join in joins), _outer_stop(pair, stretches[-1])]
    out: list[Piece] = []
    at = 0
    for stretch, start, stop in zip(stretches, starts, stops, strict=True):
        if start > at:
            out.append(Piece(None, at, start))
        out.append(Piece(stretch.fit, start, stop))
        at = stop
    size = pair.dub.samples.size
    return [*out, Piece(None, at, size)] if at < size else out


def _join(pair: Pair, one: _Stretch, other: _Stretch) -> boundaries.Join:
    first = max(one.last_clear - _JOIN_MARGIN_SAMPLES, (one.first_clear + one.last_clear) // 2)
    last = min(other.first_clear + _JOIN_MARGIN_SAMPLES, (other.first_clear + other.last_clear) // 2)
    return boundaries.place_join(pair.master, pair.dub, one.fit, other.fit, first, last)


def _outer_start(pair: Pair, stretch: _Stretch) -> int:
    """Find the start of the first stretch; it reaches back to the dub's start unless other sound is there."""
    last = min(stretch.first_clear + _JOIN_MARGIN_SAMPLES, (stretch.first_clear + stretch.last_clear) // 2)
    if stretch.fit.line.start_sample == 0:
        return 0
    return boundaries.place_edge(pair.master, pair.dub, stretch.fit, 0, last, rising=True)


def _outer_stop(pair: Pair, stretch: _Stretch) -> int:
    size = pair.dub.samples.size
    if stretch.fit.line.stop_sample >= size - BLOCK_SAMPLES:
        return size
    first = max(stretch.last_clear - _JOIN_MARGIN_SAMPLES, (stretch.first_clear + stretch.last_clear) // 2)
    return boundaries.place_edge(pair.master, pair.dub, stretch.fit, first, size, rising=False)
