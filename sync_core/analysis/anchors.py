"""Check what blocks of the dub found in the master on the waveform, and make points of what is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import coherence, fourier, mel, ridge
from sync_core.analysis.coherence import BLOCK_SAMPLES, REACH_SAMPLES
from sync_core.analysis.line import Line
from sync_core.analysis.plane import BlockPeak
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track

CONFIRMED_SCORE = 7.0
"""A single block's peak over chance: thousands of them are looked at in a long file."""

_SLOPE_STEP = 25e-6
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
    master: Track, dub: Track, peaks: Sequence[BlockPeak], slopes: Sequence[float], *, on_block: Callable[[int], None]
) -> list[Anchor]:
    """Keep the peaks at which the waveforms are coherent; each block at the slope that suits it best."""
    anchors = []
    for peak in peaks:
        looks = [_look(master, dub, block_line(peak, slope), on_block) for slope in slopes]
        best = max((look for look in looks if look), key=lambda look: look.score, default=None)
        if best and best.score >= CONFIRMED_SCORE:
            anchors.append(best)
    return anchors


def _look(master: Track, dub: Track, line: Line, on_block: Callable[[int], None]) -> Anchor | None:
    starts = coherence.block_starts(line, master.samples.size, dub.samples.size, step=BLOCK_SAMPLES // 2)
    if not len(starts):
        return None
    picture = coherence.correlogram(
        master.samples, dub.samples, line, starts, blocks_per_row=len(starts), on_block=on_block
    )
    row = picture.rows[0]
    residual = int(np.argmax(np.abs(row))) - REACH_SAMPLES
    at = picture.centre_seconds[0] * ANALYSIS_RATE_HZ
    return Anchor(at, line.slope * (at + residual) + line.lag, line.slope, ridge.peak_score(row))


def discover_slopes(
    master: Track, dub: Track, peaks: Sequence[BlockPeak], *, on_block: Callable[[int], None]
) -> list[Anchor]:
    """Find the speed at which each block's waveform is coherent, within 0.25 % of the stretch it was found at."""
    found = []
    for peak in peaks:
        line = block_line(peak, peak.stretch)
        starts = coherence.block_starts(line, master.samples.size, dub.samples.size, step=BLOCK_SAMPLES // 2)
        if len(starts) < 2:
            continue
        picture = coherence.correlogram(master.samples, dub.samples, line, starts, blocks_per_row=1, on_block=on_block)
        middle = float(picture.centre_seconds.mean())
        slope, residual, score = _stacked(picture.rows, picture.centre_seconds - middle)
        at = middle * ANALYSIS_RATE_HZ
        if score >= CONFIRMED_SCORE:
            found.append(Anchor(at, line.slope * (at + residual) + line.lag, line.slope * (1 + slope), score))
    return found


def _stacked(rows: NDArray[np.float32], seconds: NDArray[np.float64]) -> tuple[float, int, float]:
    """Sum rows along slanted lines and return the slope, the residual at time 0, and the score of the highest sum."""
    spectrum = fourier.rfft(rows)
    turns = np.arange(spectrum.shape[1]) / rows.shape[1]
    count = round(_STEEPEST / _SLOPE_STEP)
    step = np.exp(2j * np.pi * turns * (seconds[:, None] * _SLOPE_STEP * ANALYSIS_RATE_HZ))
    spectrum = spectrum * step ** (-count)
    sums = []
    for _ in range(2 * count + 1):
        sums.append(spectrum.sum(axis=0))
        spectrum *= step
    waves = fourier.irfft(np.array(sums), rows.shape[1])
    scores = np.abs(waves).max(axis=1) / np.maximum(ridge.spread(waves), 1e-12)
    best = int(np.argmax(scores))
    return (best - count) * _SLOPE_STEP, int(np.argmax(np.abs(waves[best]))) - REACH_SAMPLES, float(scores[best])
