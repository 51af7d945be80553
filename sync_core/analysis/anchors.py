"""Check what blocks of the dub found in the master on the waveform, and make points of what is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import coherence, fourier, mel, ridge
from sync_core.analysis.coherence import BLOCK_SAMPLES, REACH_SAMPLES
from sync_core.analysis.line import Line
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.progress import ignore
from sync_core.analysis.spread import spread
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track

CONFIRMED_SCORE = 7.0
"""A single block's peak over chance: thousands of them are looked at in a long file."""

SLOPE_STEP_PPM = 25.0
"""How closely `discover_slopes` tells speeds apart."""
_SLOPE_STEP = SLOPE_STEP_PPM * 1e-6
_STEEPEST = 2_500e-6


@dataclass(frozen=True, slots=True)
class Anchor:
    """A moment of the dub and where it lies in the master, in samples; `slope` is the speed it was seen at."""

    dub_sample: float
    master_sample: float
    slope: float
    score: float


def block_line(peak: BlockPeak, slope: float) -> Line:
    """Lay a line of a given slope through the middle of a block where its features matched."""
    start = peak.dub_hop * mel.HOP_SAMPLES
    half = peak.dub_hops * mel.HOP_SAMPLES / 2
    there = peak.master_hop * mel.HOP_SAMPLES + half * peak.stretch
    return Line(there - slope * (start + half), slope, start, int(start + 2 * half))


def confirm(
    master: Track,
    dub: Track,
    blocks: Sequence[Sequence[BlockPeak]],
    slopes: Sequence[float],
    *,
    on_block: Callable[[int], None],
) -> list[list[Anchor]]:
    """Keep of each block the peaks at which the waveforms are coherent, each at the slope that suits it best."""
    wanted = [(number, peak) for number, block in enumerate(blocks) for peak in block]
    anchors: list[list[Anchor]] = [[] for _ in blocks]
    looks = on_two_cores(lambda one: _best_look(master, dub, one[1], slopes), wanted)
    for (number, _), (best, looked_at) in zip(wanted, looks, strict=True):
        on_block(looked_at)
        if best and best.score >= CONFIRMED_SCORE:
            anchors[number].append(best)
    return anchors


def _best_look(master: Track, dub: Track, peak: BlockPeak, slopes: Sequence[float]) -> tuple[Anchor | None, int]:
    """Look along each slope; return the best look, and at how many blocks that was."""
    best: Anchor | None = None
    looked_at = 0
    for slope in slopes:
        line = block_line(peak, slope)
        starts = coherence.block_starts(line, master.samples.size, dub.samples.size, step=BLOCK_SAMPLES // 2)
        looked_at += len(starts)
        if len(starts):
            look = _look(master, dub, line, starts)
            best = look if best is None or look.score > best.score else best
    return best, looked_at


def _look(master: Track, dub: Track, line: Line, starts: NDArray[np.int64]) -> Anchor:
    row = coherence.summed(master, dub, line, starts)
    residual = int(np.argmax(np.abs(row))) - REACH_SAMPLES
    at = float(starts.mean()) + BLOCK_SAMPLES / 2
    return Anchor(at, line.slope * (at + residual) + line.lag, line.slope, ridge.peak_score(row))


def discover_slopes(
    master: Track, dub: Track, peaks: Sequence[BlockPeak], *, on_block: Callable[[int], None]
) -> list[Anchor]:
    """Find the speed at which each block's waveform is coherent, within 0.25 % of the stretch it was found at."""
    found = []
    for anchor in on_two_cores(lambda peak: _discovered(master, dub, peak), peaks):
        on_block(1)
        if anchor and anchor.score >= CONFIRMED_SCORE:
            found.append(anchor)
    return found


def _discovered(master: Track, dub: Track, peak: BlockPeak) -> Anchor | None:
    line = block_line(peak, peak.stretch)
    starts = coherence.block_starts(line, master.samples.size, dub.samples.size, step=BLOCK_SAMPLES // 2)
    if len(starts) < 2:
        return None
    picture = coherence.correlogram(master, dub, line, starts, blocks_per_row=1, on_block=ignore)
    middle = float(picture.centre_seconds.mean())
    slope, residual, score = _stacked(picture.rows, picture.centre_seconds - middle)
    at = middle * ANALYSIS_RATE_HZ
    return Anchor(at, line.slope * (at + residual) + line.lag, line.slope * (1 + slope), score)


def _stacked(rows: NDArray[np.float32], seconds: NDArray[np.float64]) -> tuple[float, int, float]:
    """Sum rows along slanted lines and return the slope, the residual at time 0, and the score of the highest sum."""
    size = fourier.fast_length(rows.shape[1])
    spectrum = fourier.rfft(rows, size)
    turns = np.arange(spectrum.shape[1]) / size
    count = round(_STEEPEST / _SLOPE_STEP)
    step = np.exp(2j * np.pi * turns * (seconds[:, None] * _SLOPE_STEP * ANALYSIS_RATE_HZ)).astype(np.complex64)
    spectrum *= np.conj(step) ** count
    sums = np.empty((2 * count + 1, spectrum.shape[1]), np.complex64)
    for total in sums:
        spectrum.sum(axis=0, out=total)
        spectrum *= step
    waves = fourier.irfft(sums, size)[:, : rows.shape[1]]
    scores = np.abs(waves).max(axis=1) / np.maximum(spread(waves), 1e-12)
    best = int(np.argmax(scores))
    return (best - count) * _SLOPE_STEP, int(np.argmax(np.abs(waves[best]))) - REACH_SAMPLES, float(scores[best])
