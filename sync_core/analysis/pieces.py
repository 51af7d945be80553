"""Place where the pieces of a dub begin and end."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import boundaries, gaps, mel, splices
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.analysis.witnesses import Witness
from sync_core.domain.result import SegmentKind

_SHORTEST_INSERT_SAMPLES = 2 * ANALYSIS_RATE_HZ
_SHORTEST_SWAP_SAMPLES = 10 * ANALYSIS_RATE_HZ
"""A scene in place of a longer one; a voice hides what is shared for seconds."""
_JOIN_MARGIN_SAMPLES = ANALYSIS_RATE_HZ
_SILENCE_REACH_SAMPLES = 2 * ANALYSIS_RATE_HZ
_REACH_SAMPLES = 60 * ANALYSIS_RATE_HZ
"""So far beyond what was heard at all an end is looked for."""
_FARTHEST_SAMPLES = 2 * _REACH_SAMPLES
_SAME_GAP_SAMPLES = 2 * mel.HOP_SAMPLES


@dataclass(frozen=True, slots=True)
class Piece:
    """Dub samples `start` up to `stop`, and the fit of the line they lie on; None where there is none."""

    fit: Fit | None
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """A confirmed fit, and the dub samples of the first and the last row that clearly lie on it."""

    fit: Fit
    first_clear: int
    last_clear: int


def join(samples: NDArray[np.float32], witness: Witness, stretches: Sequence[Stretch]) -> list[Piece]:
    """Place starts and ends; what is left between stretches, before and after them becomes pieces without a line.

    Parameters
    ----------
    samples : [shape=(n,), float32]
        The dub's.
    """
    if not stretches:
        return []
    size = samples.size
    joins = [_join(samples, witness, one, other) for one, other in itertools.pairwise(stretches)]
    joins = [
        _around_silence(samples, end, start, _inserted(one, other))
        for (end, start), (one, other) in zip(joins, itertools.pairwise(stretches), strict=True)
    ]
    starts = [_start_of(witness, stretches[0], 0), *(start for _, start in joins)]
    stops = [*(end for end, _ in joins), _stop_of(witness, stretches[-1], size)]
    out: list[Piece] = []
    at = 0
    for stretch, start, stop in zip(stretches, starts, stops, strict=True):
        if start > at:
            out.append(Piece(None, at, start))
        out.append(Piece(stretch.fit, start, stop))
        at = stop
    return [*out, Piece(None, at, size)] if at < size else out


def _join(samples: NDArray[np.float32], witness: Witness, one: Stretch, other: Stretch) -> tuple[int, int]:
    first = max(one.last_clear - _JOIN_MARGIN_SAMPLES, (one.first_clear + one.last_clear) // 2)
    last = min(other.first_clear + _JOIN_MARGIN_SAMPLES, (other.first_clear + other.last_clear) // 2)
    if last <= first:
        return other.first_clear, other.first_clear
    if last - first > _FARTHEST_SAMPLES:
        return _stop_of(witness, one, other.first_clear), _start_of(witness, other, one.last_clear)
    before, after = witness.steps(one.fit, first, last), witness.steps(other.fit, first, last)
    sure_end, sure_start = ((sample - first) // witness.step_samples for sample in (one.last_clear, other.first_clear))
    usual = before.usual(0, sure_end), after.usual(sure_start, after.agreement.size)
    before, after = before.only(0, sure_start), after.only(sure_end, after.agreement.size)
    end, start = boundaries.place_join(
        before,
        after,
        usual,
        splices=lambda: splices.marks(samples, first, before.agreement.size + 1, witness.step_samples),
        inserted_steps=round(_inserted(one, other) / witness.step_samples),
        least_gap_steps=_SHORTEST_INSERT_SAMPLES // witness.step_samples,
    )
    if _is_hidden(samples[first + end * witness.step_samples : first + start * witness.step_samples], one, other):
        end, start = boundaries.place_beside(before, after, usual)
    return first + end * witness.step_samples, first + start * witness.step_samples


def _is_hidden(gap: NDArray[np.float32], one: Stretch, other: Stretch) -> bool:
    """Whether sound at a join is rather the programme's, hidden by a voice, than something else in place of a part.

    So it is where the dub leaves something out, and where it goes back to what is shown again.
    """
    inserted = _inserted(one, other)
    is_cut = inserted <= -_SHORTEST_INSERT_SAMPLES
    goes_back = inserted > other.first_clear - one.last_clear + 2 * _JOIN_MARGIN_SAMPLES
    is_short = 0 < gap.size < _SHORTEST_SWAP_SAMPLES
    return (is_cut or goes_back) and is_short and gaps.kind_of(gap) is SegmentKind.OTHER


def _inserted(one: Stretch, other: Stretch) -> float:
    """How much longer the dub is between two stretches than the master, samples; below 0 if it leaves something out."""
    line, after = one.fit.line, other.fit.line
    return ((line.slope - after.slope) * other.first_clear + line.lag - after.lag) / after.slope


def _around_silence(samples: NDArray[np.float32], end: int, start: int, inserted: float) -> tuple[int, int]:
    """Let an inserted silence begin and end where it does, and not where shared sound is clearly heard again.

    One that is as long as what was inserted is just that, however far from it a voice hides what is shared. Where it is
    somewhat longer, the rest of it is the programme's: then the gap keeps its length.
    """
    silence = gaps.silence_in(samples, end, start, reach=_SILENCE_REACH_SAMPLES) if start > end else None
    if silence is None:
        return end, start
    first, last = silence
    spare = last - first - round(inserted)
    is_measured = abs(start - end - inserted) <= _SAME_GAP_SAMPLES
    is_likely = inserted >= _SHORTEST_INSERT_SAMPLES and spare <= _SILENCE_REACH_SAMPLES
    if spare >= -_SAME_GAP_SAMPLES and (is_measured or is_likely):
        latest = first + max(spare, 0)
        end = min(max(end, first), latest) if is_measured else (first + latest) // 2
        return end, end + round(inserted)
    near_end, near_start = abs(first - end) < _SILENCE_REACH_SAMPLES, abs(last - start) < _SILENCE_REACH_SAMPLES
    return (first if near_end else end), (last if near_start else start)


def _start_of(witness: Witness, stretch: Stretch, earliest: int) -> int:
    """Find where a stretch starts, which reaches back as far as nothing else is heard."""
    if stretch.fit.line.start_sample <= earliest:
        return earliest
    first = max(stretch.fit.line.start_sample - _REACH_SAMPLES, earliest)
    last = min(stretch.first_clear + _JOIN_MARGIN_SAMPLES, (stretch.first_clear + stretch.last_clear) // 2)
    steps = witness.steps(stretch.fit, first, last)
    usual = steps.usual((stretch.first_clear - first) // witness.step_samples, steps.agreement.size)
    return first + boundaries.place_start(steps, usual) * witness.step_samples


def _stop_of(witness: Witness, stretch: Stretch, latest: int) -> int:
    """Find where a stretch stops, which reaches on as far as nothing else is heard."""
    if stretch.fit.line.stop_sample >= latest - BLOCK_SAMPLES:
        return latest
    first = max(stretch.last_clear - _JOIN_MARGIN_SAMPLES, (stretch.first_clear + stretch.last_clear) // 2)
    last = min(stretch.fit.line.stop_sample + _REACH_SAMPLES, latest)
    steps = witness.steps(stretch.fit, first, last)
    usual = steps.usual(0, (stretch.last_clear - first) // witness.step_samples)
    return first + boundaries.place_end(steps, usual) * witness.step_samples
