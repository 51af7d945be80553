"""Turn pieces and checked proposals into the estimate that leaves the analysis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sync_core.analysis import confidence, gaps, rates
from sync_core.analysis.confidence import Evidence
from sync_core.analysis.estimate import Estimate
from sync_core.analysis.fit import Fit
from sync_core.analysis.hypotheses import Checked
from sync_core.analysis.line import Line
from sync_core.analysis.pieces import Piece
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track
from sync_core.domain.methods import Method, label
from sync_core.domain.result import Candidate, MethodResult, Segment, SegmentKind

LEAST_CONFIDENCE = 0.5
"""An answer that is more probably wrong than right is a refusal."""

AGREE_SECONDS = 0.060
"""A method found the answer when one of its lags is this near."""

_FINEST_SECONDS = 1e-6
_LEAST_PRECISION_SECONDS = 1e-5
"""A sixth of a sample; what decoders and resamplers do to time is not known any better."""
_ERRORS = 3.0
_LONGEST_UNTOLD_SECONDS = 3.0
_SHORTEST_OVERLAP_SECONDS = 1.45
_SHORTEST_GAP_SECONDS = 0.1
_SHORTEST_OVERHANG_SECONDS = 1.0
_SAME_LINE_SECONDS = 0.002
_NAMED_WITHIN_PPM = 3.0
_FAINTEST = 1e-3
_NOT_CONFIRMED = "None of the offsets that this method found was confirmed on the waveforms."


@dataclass(frozen=True, slots=True)
class Sides:
    """The pair that an estimate is about."""

    master: Track
    dub: Track

    def offset(self, line: Line) -> float:
        """Offset of a line in file times, seconds; nothing finer than a microsecond, so that equal files give 0."""
        offset = line.lag / ANALYSIS_RATE_HZ + self.master.start_seconds - line.slope * self.dub.start_seconds
        return 0.0 if abs(offset) < _FINEST_SECONDS else round(offset, 7)

    def dub_time(self, sample: int) -> float:
        return round(self.dub.start_seconds + sample / ANALYSIS_RATE_HZ, 6)

    def in_master(self, line: Line, start: int, stop: int) -> float:
        """Seconds of a stretch of the dub that would lie inside the master on a line."""
        low, high = (line.slope * sample + line.lag for sample in (start, stop))
        return max(min(high, self.master.samples.size) - max(low, 0.0), 0.0) / ANALYSIS_RATE_HZ


def refused(checked: Sequence[Checked], methods: Sequence[Method], missing: Sequence[MethodResult]) -> Estimate:
    """Build the estimate for a pair without a match."""
    best = max((_refused_probability(one) for one in checked), default=0.0)
    results = tuple(_refusal(method, checked) for method in methods)
    return Estimate(None, None, None, None, best, None, False, (), (), (*results, *missing))


def evidence_of(sides: Sides, pieces: Sequence[Piece], checked: Sequence[Checked]) -> Evidence:
    """Sum up what speaks for the pieces, and how high anything else stands beside them."""
    fits = [piece.fit for piece in pieces if piece.fit]
    windows = sum(len(fit.window_scores) for fit in fits)
    strength = math.sqrt(sum(fit.score**2 for fit in fits) / max(windows, 1))
    lengths = [piece.stop - piece.start for piece in pieces]
    covered = sum(piece.fit.support * length for piece, length in zip(pieces, lengths, strict=True) if piece.fit)
    lines = [fit.line for fit in fits]
    near = [one for one in checked if any(_near(one, line, sides) for line in lines)]
    far = [one for one in checked if not any(_near(one, line, sides) for line in lines)]
    rivalry = _rivalry(near, far, fits, sides.dub.duration_seconds)
    return Evidence(strength, covered / max(sum(lengths), 1), rivalry, sides.offset(lines[0]))


def _rivalry(near: Sequence[Checked], far: Sequence[Checked], fits: Sequence[Fit], dub_seconds: float) -> float:
    """Weigh the best other candidate against the answer.

    Candidates are lags at speed 1: an answer at another speed, which passes by many lags within the dub, stands by its
    own score, beside their coherence.
    """
    settled = any(one.distinction is not None for one in near)
    if settled and all(abs(fit.line.slope - 1.0) * dub_seconds < AGREE_SECONDS for fit in fits):
        own = max(one.weight for one in near)
        return max((one.weight for one in far), default=0.0) / max(own, _FAINTEST)
    own = max([*(fit.score for fit in fits), *(one.coherence for one in near)])
    return max((one.coherence for one in far), default=0.0) / own


def matched(
    sides: Sides,
    pieces: Sequence[Piece],
    checked: Sequence[Checked],
    methods: Sequence[Method],
    missing: Sequence[MethodResult],
) -> Estimate:
    """Build the estimate for a dub of which at least one piece lies on a line; it may still be a refusal."""
    found_evidence = evidence_of(sides, pieces, checked)
    trust = confidence.probability(found_evidence)
    if _too_little(pieces) or _barely_meets(pieces, sides):
        return replace(refused(checked, methods, missing), confidence=min(trust, LEAST_CONFIDENCE))
    if trust < LEAST_CONFIDENCE:
        return replace(
            refused(checked, methods, missing),
            confidence=trust,
            candidates=_candidates(checked, sides, max(one.weight for one in checked)),
            evidence=found_evidence,
        )
    pieces = _with_overhang(told([_settled(piece) for piece in pieces], sides), sides)
    found = [piece.fit for piece in pieces if piece.fit]
    first = found[0]
    lines = [fit.line for fit in found]
    rivals = [one for one in checked if not any(_near(one, line, sides) for line in lines)]
    rate = rates.nearest(first.line.slope, _NAMED_WITHIN_PPM)
    return Estimate(
        offset_seconds=sides.offset(first.line),
        speed_ratio=first.line.slope,
        rate_label=rate.label if rate else None,
        precision_seconds=precision(first, sides.dub),
        confidence=trust,
        method_used=_best_method(lines, sides, checked),
        edited=_is_edited(pieces, sides),
        segments=tuple(_segment(piece, sides, trust) for piece in pieces),
        candidates=_candidates(rivals, sides, max(one.weight for one in checked)),
        methods=(*_method_results(lines, trust, sides, checked), *missing),
        notes=_notes(found),
        evidence=found_evidence,
    )


def _notes(fits: Sequence[Fit]) -> tuple[str, ...]:
    inverted = ("One side is inverted in polarity.",) if fits[0].sign < 0 else ()
    most = max(fit.wow_seconds for fit in fits)
    wow = (f"Wow: the dub wanders about its offset by up to {most * 1e3:.1f} ms; that is no edit.",) if most else ()
    return (*inverted, *wow)


def _too_little(pieces: Sequence[Piece]) -> bool:
    """Whether less than three seconds are in common, in a dub that is longer than that."""
    shared = sum(piece.stop - piece.start for piece in pieces if piece.fit) / ANALYSIS_RATE_HZ
    return shared < _LONGEST_UNTOLD_SECONDS and any(piece.fit is None for piece in pieces)


def _barely_meets(pieces: Sequence[Piece], sides: Sides) -> bool:
    """Whether most of the dub hangs over the master's ends, and what is left is too short to be told from chance."""
    meets = sum(sides.in_master(piece.fit.line, piece.start, piece.stop) for piece in pieces if piece.fit)
    return meets < min(_SHORTEST_OVERLAP_SECONDS, sides.dub.duration_seconds / 2)


def _refused_probability(one: Checked) -> float:
    return min(confidence.of_candidate(one.coherence, 0.0), LEAST_CONFIDENCE)


def _settled(piece: Piece) -> Piece:
    """Take a slope for 1, or for a named rate, where it cannot be told from it; the line turns about its middle."""
    fit = piece.fit
    if fit is None:
        return piece
    slope = rates.snapped(fit.line.slope, fit.slope_error)
    pivot = fit.middle_seconds * ANALYSIS_RATE_HZ
    line = replace(fit.line, slope=slope, lag=fit.line.lag + (fit.line.slope - slope) * pivot)
    return replace(piece, fit=replace(fit, line=line))


def told(pieces: Sequence[Piece], sides: Sides) -> list[Piece]:
    """Leave out what is not worth telling, so that the pieces still cover the dub.

    Neighbours on the same line become one. Before the first line and after the last one, sound that has no
    counterpart because the master has not begun or has ended belongs to the programme.
    """
    kept: list[Piece] = []
    for piece in pieces:
        before = kept[-1] if kept else None
        if before and before.fit and piece.fit and _same_line(before.fit.line, piece.fit.line, piece.start):
            kept[-1] = replace(before, stop=piece.stop)
        else:
            kept.append(piece)
    if len(kept) > 1 and kept[0].fit is None and _belongs(kept[0], kept[1].fit, sides):
        kept[:2] = [replace(kept[1], start=kept[0].start)]
    if len(kept) > 1 and kept[-1].fit is None and _belongs(kept[-1], kept[-2].fit, sides):
        kept[-2:] = [replace(kept[-2], stop=kept[-1].stop)]
    return kept


def _with_overhang(pieces: Sequence[Piece], sides: Sides) -> list[Piece]:
    """Split off what hangs over the master's start or end where it is silence or tone, such as a leader."""
    out = list(pieces)
    first = out[0]
    if first.fit:
        begins = math.ceil(-first.fit.line.lag / first.fit.line.slope)
        if _is_blank(sides, first.start, begins) and begins < first.stop:
            out[:1] = [Piece(None, first.start, begins), replace(first, start=begins)]
    last = out[-1]
    if last.fit:
        ends = int((sides.master.samples.size - last.fit.line.lag) / last.fit.line.slope)
        if _is_blank(sides, ends, last.stop) and ends > last.start:
            out[-1:] = [replace(last, stop=ends), Piece(None, ends, last.stop)]
    return out


def _is_blank(sides: Sides, start: int, stop: int) -> bool:
    if stop - start < _SHORTEST_OVERHANG_SECONDS * ANALYSIS_RATE_HZ:
        return False
    return gaps.kind_of(sides.dub.samples[start:stop]) is not SegmentKind.OTHER


def _same_line(one: Line, other: Line, at: int) -> bool:
    step = (one.slope - other.slope) * at + one.lag - other.lag
    return abs(step) < _SAME_LINE_SECONDS * ANALYSIS_RATE_HZ


def _belongs(piece: Piece, fit: Fit | None, sides: Sides) -> bool:
    if fit is None:
        return False
    seconds = (piece.stop - piece.start) / ANALYSIS_RATE_HZ
    if seconds < _SHORTEST_GAP_SECONDS:
        return True
    plain = gaps.kind_of(sides.dub.samples[piece.start : piece.stop]) is SegmentKind.OTHER
    return plain and sides.in_master(fit.line, piece.start, piece.stop) < _LONGEST_UNTOLD_SECONDS


def _is_edited(pieces: Sequence[Piece], sides: Sides) -> bool:
    """Whether the dub differs from part to part: more than one line, or sound in place of the master's programme."""
    lines = [piece.fit.line for piece in pieces if piece.fit]
    return len(lines) > 1 or any(
        piece.fit is None and sides.in_master(lines[0], piece.start, piece.stop) >= _LONGEST_UNTOLD_SECONDS
        for piece in pieces
    )


def _segment(piece: Piece, sides: Sides, trust: float) -> Segment:
    start, stop = sides.dub_time(piece.start), sides.dub_time(piece.stop)
    if piece.fit is None:
        return Segment(start, stop, None, None, trust, gaps.kind_of(sides.dub.samples[piece.start : piece.stop]))
    return Segment(start, stop, sides.offset(piece.fit.line), piece.fit.line.slope, trust, SegmentKind.PROGRAMME)


def precision(fit: Fit, dub: Track) -> float:
    """Half-width of the interval that the offset (at dub time 0) is in, seconds."""
    known = rates.snapped(fit.line.slope, 0.0) in (1.0, *(rate.ratio for rate in rates.NAMED))
    away = 0.0 if known else (fit.middle_seconds + dub.start_seconds) * fit.slope_error
    error = _ERRORS * float((fit.offset_error**2 + away**2) ** 0.5)
    return max(round(error + fit.wow_seconds, 7), _LEAST_PRECISION_SECONDS)


def _method_results(
    lines: Sequence[Line], trust: float, sides: Sides, checked: Sequence[Checked]
) -> tuple[MethodResult, ...]:
    """Say for each method what it would have answered alone: the best confirmed lag among its own."""
    names = sorted({method for one in checked for method in one.scores}, key=list(Method).index)
    return tuple(_method_result(name, lines, trust, sides, checked) for name in names)


def _method_result(
    method: Method, lines: Sequence[Line], trust: float, sides: Sides, checked: Sequence[Checked]
) -> MethodResult:
    best = next(one for one in checked if method in one.scores)
    if best.coherence < confidence.CONFIRMED_SCORE:
        return _refusal(method, checked)
    score = best.scores[method]
    for line in lines:
        if _near(best, line, sides):
            return MethodResult(method, label(method), sides.offset(line), score, trust, ok=True)
    alone = confidence.of_candidate(best.coherence, checked[0].weight / max(best.weight, _FAINTEST))
    own = Line(best.lag_samples, 1.0, 0, sides.dub.samples.size)
    return MethodResult(method, label(method), sides.offset(own), score, alone, ok=True)


def _refusal(method: Method, checked: Sequence[Checked]) -> MethodResult:
    own = [one for one in checked if method in one.scores]
    score = max((one.scores[method] for one in own), default=0.0)
    trust = max((_refused_probability(one) for one in own), default=0.0)
    return MethodResult(method, label(method), None, score, trust, ok=False, error=_NOT_CONFIRMED)


def _best_method(lines: Sequence[Line], sides: Sides, checked: Sequence[Checked]) -> Method | None:
    near = [one for one in checked if any(_near(one, line, sides) for line in lines)]
    scores = {method: score for one in near or checked for method, score in one.scores.items()}
    return max(scores, key=lambda method: scores[method], default=None)


def _near(one: Checked, line: Line, sides: Sides) -> bool:
    """Whether the line comes within reach of a lag somewhere in the dub."""
    moved = (line.slope - 1.0) * sides.dub.samples.size
    low, high = min(line.lag, line.lag + moved), max(line.lag, line.lag + moved)
    reach = AGREE_SECONDS * ANALYSIS_RATE_HZ
    return low - reach <= one.lag_samples <= high + reach


def _candidates(rivals: Sequence[Checked], sides: Sides, best: float) -> tuple[Candidate, ...]:
    found = [one for one in rivals if one.coherence >= confidence.CONFIRMED_SCORE and one.weight >= best / 2]
    return tuple(
        Candidate(
            sides.offset(Line(one.lag_samples, 1.0, 0, sides.dub.samples.size)),
            1.0,
            confidence.of_candidate(one.coherence, best / max(one.weight, _FAINTEST)),
        )
        for one in found
    )
