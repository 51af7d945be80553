"""The answer in one word."""

from __future__ import annotations

from sync_core.analysis.estimate import Estimate
from sync_core.domain.result import Verdict


def decide(estimate: Estimate, *, tolerance_seconds: float, dub_seconds: float) -> Verdict:
    """Name an estimate's kind.

    Parameters
    ----------
    tolerance_seconds
        Up to this much (inclusive) in either direction counts as in sync; one video frame by default.
    dub_seconds
        The dub's duration: a speed other than 1 is drift if it moves the dub by more than the estimate's precision, or
        by more than a quarter of the tolerance, whichever is more, between start and end.
    """
    if estimate.offset_seconds is None or estimate.speed_ratio is None:
        return Verdict.NO_MATCH
    if estimate.edited:
        return Verdict.EDITED
    moved = abs(estimate.speed_ratio - 1.0) * dub_seconds
    if moved > max(estimate.precision_seconds or 0.0, tolerance_seconds / 4):
        return Verdict.DRIFT
    return Verdict.IN_SYNC if abs(estimate.offset_seconds) <= tolerance_seconds else Verdict.OFFSET
