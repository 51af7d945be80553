"""Compare a dub with its master: the one entry point of the analysis."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sync_core.analysis.estimate import Estimate
from sync_core.analysis.track import Track
from sync_core.domain.methods import Method

__all__ = ["Estimate", "compare", "ignore"]


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
    on_progress(1.0)
    return Estimate(None, None, None, None, 0.0, None, False, (), (), ())
