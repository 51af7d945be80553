"""Compare a dub with its master: the one entry point of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sync_core.analysis import assemble, confidence, hypotheses
from sync_core.analysis.estimate import Estimate
from sync_core.analysis.fit import Fit, fit_line
from sync_core.analysis.hypotheses import Checked
from sync_core.analysis.line import Line
from sync_core.analysis.methods.base import OffsetMethod
from sync_core.analysis.methods.registry import AVAILABLE
from sync_core.analysis.progress import Stage
from sync_core.analysis.track import Track
from sync_core.domain.errors import MethodUnavailable
from sync_core.domain.methods import Method, label
from sync_core.domain.result import MethodResult

__all__ = ["Estimate", "compare", "ignore"]

_FITS = 2
_STEPS_PER_METHOD = 40
_LOOK_BLOCKS = 10_000
_FIT_BLOCKS_PER_SECOND = 8


def ignore(fraction: float) -> None:
    """Take a progress report and do nothing with it."""


def compare(
    master: Track,
    dub: Track,
    methods: Sequence[Method],
    *,
    on_progress: Callable[[float], None] = ignore,
) -> Estimate:
    """Find how a dub lies against its master.

    Parameters
    ----------
    methods
        Which methods may propose offsets; the first is not preferred over the others.
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
    chosen, missing = _chosen(methods)
    if not len(master.log_mel) or not len(dub.log_mel):
        return assemble.refused((), list(chosen), missing)
    checked = _checked(master, dub, list(chosen.values()), on_progress)
    fit = _best_fit(master, dub, checked, on_progress)
    on_progress(1.0)
    if fit is None or fit.score < confidence.CONFIRMED_SCORE:
        return assemble.refused(checked, list(chosen), missing)
    return assemble.matched(fit, master, dub, checked, missing)


def _chosen(methods: Sequence[Method]) -> tuple[dict[Method, OffsetMethod], list[MethodResult]]:
    chosen = {method: AVAILABLE[method] for method in methods if method in AVAILABLE}
    absent = [method for method in dict.fromkeys(methods) if method not in AVAILABLE]
    if not chosen:
        names = ", ".join(label(method) for method in absent) or "no method"
        raise MethodUnavailable(f"{names}: not installed here; ask for {', '.join(AVAILABLE)}")
    error = "This method is not installed where the item ran."
    return chosen, [MethodResult(method, label(method), None, None, 0.0, ok=False, error=error) for method in absent]


def _checked(
    master: Track, dub: Track, methods: Sequence[OffsetMethod], on_progress: Callable[[float], None]
) -> list[Checked]:
    extracting = Stage(on_progress, 0.0, 0.2, 2 * len(methods))
    features = {}
    for method in methods:
        one = method.features(master)
        extracting.advance()
        features[method.method] = one, method.features(dub)
        extracting.advance()
    correlating = Stage(on_progress, 0.2, 0.5, _STEPS_PER_METHOD * len(methods))
    proposals = hypotheses.propose(features, on_dims=correlating.advance)
    looking = Stage(on_progress, 0.5, 0.7, _LOOK_BLOCKS)
    return hypotheses.check(master, dub, proposals, on_block=looking.advance)


def _best_fit(
    master: Track, dub: Track, checked: Sequence[Checked], on_progress: Callable[[float], None]
) -> Fit | None:
    fitting = Stage(on_progress, 0.7, 1.0, int(_FIT_BLOCKS_PER_SECOND * _FITS * dub.duration_seconds))
    lines = [Line(one.lag_samples, 1.0, 0, dub.samples.size) for one in checked[:_FITS]]
    fits = [fit_line(master, dub, line, on_block=fitting.advance) for line in lines]
    return max((fit for fit in fits if fit), key=lambda fit: fit.score, default=None)
