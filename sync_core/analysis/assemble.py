"""Turn fits into the estimate that leaves the analysis."""

from __future__ import annotations

from collections.abc import Sequence

from sync_core.analysis import confidence
from sync_core.analysis.estimate import Estimate
from sync_core.analysis.fit import Fit
from sync_core.analysis.hypotheses import Checked
from sync_core.analysis.line import Line
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track
from sync_core.domain.methods import Method, label
from sync_core.domain.result import Candidate, MethodResult, Segment, SegmentKind

AGREE_SECONDS = 0.060
"""A method found the answer when one of its lags is this near."""

_FINEST_SECONDS = 1e-6
_LARGEST_ERROR_FACTOR = 3.0


def line_offset(line: Line, master: Track, dub: Track) -> float:
    """Offset of a line in file times, seconds; whole microseconds at best, so that equal files give exactly 0."""
    offset = line.lag / ANALYSIS_RATE_HZ + master.start_seconds - line.slope * dub.start_seconds
    return 0.0 if abs(offset) < _FINEST_SECONDS else round(offset, 7)


def matched(
    fit: Fit, master: Track, dub: Track, checked: Sequence[Checked], missing: Sequence[MethodResult]
) -> Estimate:
    """Build the estimate for a dub that lies on one line."""
    offset = line_offset(fit.line, master, dub)
    rivals = [one for one in checked if not _near(one, fit.line, dub)]
    trust = confidence.of_score(fit.score, rivals[0].coherence if rivals else 0.0)
    methods = method_results(fit, offset, trust, master, dub, checked)
    return Estimate(
        offset_seconds=offset,
        speed_ratio=fit.line.slope,
        rate_label=None,
        precision_seconds=precision(fit, dub),
        confidence=trust,
        method_used=_best_method(fit, dub, checked),
        edited=False,
        segments=(_whole(dub, offset, fit.line.slope, trust),),
        candidates=_candidates(rivals, master, dub, fit.score),
        methods=(*methods, *missing),
        notes=("One side is inverted in polarity.",) if fit.sign < 0 else (),
    )


def refused(checked: Sequence[Checked], methods: Sequence[Method], missing: Sequence[MethodResult]) -> Estimate:
    """Build the estimate for a pair without a match."""
    best = max((confidence.of_score(one.coherence) for one in checked), default=0.0)
    results = tuple(_refusal(method, checked) for method in methods)
    return Estimate(None, None, None, None, best, None, False, (), (), (*results, *missing))


def precision(fit: Fit, dub: Track) -> float:
    """Half-width of the interval that the offset (at dub time 0) is in, seconds."""
    drifts = fit.line.slope != 1.0
    away = (fit.middle_seconds + dub.start_seconds) * fit.slope_error if drifts else 0.0
    return max(round(_LARGEST_ERROR_FACTOR * float((fit.offset_error**2 + away**2) ** 0.5), 7), _FINEST_SECONDS)


def method_results(
    fit: Fit, offset: float, trust: float, master: Track, dub: Track, checked: Sequence[Checked]
) -> tuple[MethodResult, ...]:
    """Say for each method what it would have answered alone: the best confirmed lag among its own."""
    names = sorted({method for one in checked for method in one.scores}, key=list(Method).index)
    return tuple(_method_result(name, fit, offset, trust, master, dub, checked) for name in names)


def _method_result(
    method: Method, fit: Fit, offset: float, trust: float, master: Track, dub: Track, checked: Sequence[Checked]
) -> MethodResult:
    own = [one for one in checked if method in one.scores]
    best = own[0]
    if best.coherence < confidence.CONFIRMED_SCORE:
        return _refusal(method, checked)
    if _near(best, fit.line, dub):
        return MethodResult(method, label(method), offset, best.scores[method], trust, ok=True)
    found = line_offset(Line(best.lag_samples, 1.0, 0, dub.samples.size), master, dub)
    alone = confidence.of_score(best.coherence, checked[0].coherence)
    return MethodResult(method, label(method), found, best.scores[method], alone, ok=True)


def _refusal(method: Method, checked: Sequence[Checked]) -> MethodResult:
    own = [one for one in checked if method in one.scores]
    score = max((one.scores[method] for one in own), default=0.0)
    trust = max((confidence.of_score(one.coherence) for one in own), default=0.0)
    error = "None of the offsets that this method found was confirmed on the waveforms."
    return MethodResult(method, label(method), None, score, trust, ok=False, error=error)


def _best_method(fit: Fit, dub: Track, checked: Sequence[Checked]) -> Method | None:
    near = [one for one in checked if _near(one, fit.line, dub)]
    scores = {method: score for one in near for method, score in one.scores.items()}
    return max(scores, key=lambda method: scores[method], default=None)


def _near(one: Checked, line: Line, dub: Track) -> bool:
    """Whether the line comes within reach of a lag somewhere in the dub."""
    moved = (line.slope - 1.0) * dub.samples.size
    low, high = min(line.lag, line.lag + moved), max(line.lag, line.lag + moved)
    reach = AGREE_SECONDS * ANALYSIS_RATE_HZ
    return low - reach <= one.lag_samples <= high + reach


def _candidates(rivals: Sequence[Checked], master: Track, dub: Track, best: float) -> tuple[Candidate, ...]:
    found = [one for one in rivals if one.coherence >= max(confidence.CONFIRMED_SCORE, best / 2)]
    return tuple(
        Candidate(
            line_offset(Line(one.lag_samples, 1.0, 0, dub.samples.size), master, dub),
            1.0,
            confidence.of_score(one.coherence, best),
        )
        for one in found
    )


def _whole(dub: Track, offset: float, slope: float, trust: float) -> Segment:
    end = dub.start_seconds + dub.duration_seconds
    return Segment(dub.start_seconds, end, offset, slope, trust, SegmentKind.PROGRAMME)
