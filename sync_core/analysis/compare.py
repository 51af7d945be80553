"""Compare a dub with its master: the one entry point of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sync_core.analysis import assemble, blocks, chance, confidence, edits, hypotheses, phase, rivals
from sync_core.analysis.assemble import Sides
from sync_core.analysis.estimate import Estimate
from sync_core.analysis.fit import Fit, fit_line
from sync_core.analysis.hypotheses import Checked
from sync_core.analysis.line import Line
from sync_core.analysis.methods.base import Features, OffsetMethod
from sync_core.analysis.methods.registry import AVAILABLE
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.progress import Stage, ignore
from sync_core.analysis.speeds import Speed
from sync_core.analysis.track import Track
from sync_core.analysis.witnesses import Pair
from sync_core.domain.errors import MethodUnavailable
from sync_core.domain.methods import Method, label
from sync_core.domain.result import MethodResult

__all__ = ["Estimate", "compare", "ignore"]

_FITS = 2
_WELL_SUPPORTED = 0.5
_DIVIDING_STEPS = 20_000
_FOR_BLOCKS = (Method.MFCC, Method.SPECTRAL, Method.ONSET, Method.AI)
"""Features by which blocks are compared, the most sensitive first."""

_STEPS_PER_METHOD = 40
_LOOK_BLOCKS = 10_000
_SPEED_BLOCKS = 200
_FIT_BLOCKS_PER_SECOND = 8


def compare(
    master: Track,
    dub: Track,
    methods: Sequence[Method],
    *,
    ai: OffsetMethod | None = None,
    on_progress: Callable[[float], None] = ignore,
) -> Estimate:
    """Find how a dub lies against its master.

    Parameters
    ----------
    methods
        Which methods may propose offsets; the first is not preferred over the others.
    ai
        What `Method.AI` stands for with these two tracks; None: it is not available.
    on_progress
        Called with the fraction done, 0 to 1, at least once per second of work. What it raises passes through, so
        raising is the way to cancel.

    Returns
    -------
    estimate
        With `master_time = speed_ratio * dub_time + offset_seconds`, times counted from each file's time zero.

    Raises
    ------
    MethodUnavailable
        If none of the methods asked for is installed.
    """
    chosen, missing = _chosen(methods, ai)
    if not len(master.log_mel) or not len(dub.log_mel):
        return assemble.refused((), list(chosen), missing)
    features = _features(master, dub, list(chosen.values()), on_progress)
    dividing = Stage(on_progress, 0.7, 1.0, _DIVIDING_STEPS)
    by = next(method for method in _FOR_BLOCKS if method in features)
    pair = Pair(master, dub, *features[by], dividing.advance)
    checked, speed = _checked(pair, features, on_progress)
    whole = None if speed and speed.is_another else best_fit(master, dub, checked, on_progress)
    pieces = edits.divide(pair, whole, speed)
    pieces = chance.without_chance(master, dub, pieces, on_block=dividing.advance)
    on_progress(1.0)
    if not any(piece.fit for piece in pieces):
        return assemble.refused(checked, list(chosen), missing)
    return assemble.matched(Sides(master, dub), pieces, checked, list(chosen), missing)


def _chosen(
    methods: Sequence[Method], ai: OffsetMethod | None
) -> tuple[dict[Method, OffsetMethod], list[MethodResult]]:
    available = {**AVAILABLE, ai.method: ai} if ai else AVAILABLE
    chosen = {method: available[method] for method in methods if method in available}
    absent = [method for method in dict.fromkeys(methods) if method not in available]
    if not chosen:
        names = ", ".join(label(method) for method in absent) or "no method"
        raise MethodUnavailable(f"{names}: not installed here; ask for {', '.join(AVAILABLE)}")
    error = "This method is not installed where the item ran."
    return chosen, [MethodResult(method, label(method), None, None, 0.0, ok=False, error=error) for method in absent]


def _features(
    master: Track, dub: Track, methods: Sequence[OffsetMethod], on_progress: Callable[[float], None]
) -> dict[Method, tuple[Features, Features]]:
    extracting = Stage(on_progress, 0.0, 0.2, 2 * len(methods))
    sides = []
    work = [(method, track) for method in methods for track in (master, dub)]
    for features in on_two_cores(lambda one: one[0].features(one[1]), work):
        sides.append(features)
        extracting.advance()
    return {method.method: (sides[2 * at], sides[2 * at + 1]) for at, method in enumerate(methods)}


def _checked(
    pair: Pair, features: Mapping[Method, tuple[Features, Features]], on_progress: Callable[[float], None]
) -> tuple[list[Checked], Speed | None]:
    """Check the lags that the features propose; where none is confirmed, find out at which speed the dub plays."""
    correlating = Stage(on_progress, 0.2, 0.4, _STEPS_PER_METHOD * len(features))
    survey = hypotheses.propose(features, on_dims=correlating.advance)
    looking = Stage(on_progress, 0.4, 0.46, _LOOK_BLOCKS)
    checked = hypotheses.check(pair.master, pair.dub, survey.proposals, on_block=looking.advance)
    speed = None
    if not hypotheses.is_confirmed(checked):
        trying = Stage(on_progress, 0.46, 0.48, _SPEED_BLOCKS)
        speed = blocks.find_speed(replace(pair, on_block=trying.advance))
    if (speed and speed.is_another) or not rivals.is_open(checked):
        return checked, speed
    settling = Stage(on_progress, 0.48, 0.5, phase.STEPS + _LOOK_BLOCKS)
    phases = phase.correlate(pair.master.samples, pair.dub.samples, on_step=settling.advance)
    return rivals.settle(pair.master, pair.dub, survey, checked, phases, on_block=settling.advance), speed


def best_fit(master: Track, dub: Track, checked: Sequence[Checked], on_progress: Callable[[float], None]) -> Fit | None:
    """Fit a line at each of the best proposals; None if none is confirmed."""
    fitting = Stage(on_progress, 0.5, 0.7, int(_FIT_BLOCKS_PER_SECOND * _FITS * dub.duration_seconds))
    best: Fit | None = None
    for one in checked[:_FITS]:
        line = Line(one.lag_samples, 1.0, 0, dub.samples.size)
        fit = fit_line(master, dub, line, on_block=fitting.advance)
        if fit and fit.score >= max(confidence.CONFIRMED_SCORE, best.score if best else 0.0):
            best = fit
        if best and best.support > _WELL_SUPPORTED:
            break
    return best
