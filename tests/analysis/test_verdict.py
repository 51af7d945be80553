"""The verdict is a function of the estimate, the tolerance and the dub's length."""

from __future__ import annotations

import pytest

from sync_core.analysis.estimate import Estimate
from sync_core.analysis.verdict import decide
from sync_core.domain.result import Verdict


def estimate(offset, speed=1.0, *, edited=False, precision=1e-4):
    return Estimate(offset, speed, None, precision, 0.9, None, edited, (), (), ())


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (estimate(None, None), Verdict.NO_MATCH),
        (estimate(0.0), Verdict.IN_SYNC),
        (estimate(-0.04), Verdict.IN_SYNC),
        (estimate(0.0401), Verdict.OFFSET),
        (estimate(-15.023), Verdict.OFFSET),
        (estimate(0.0, 1 + 100e-6), Verdict.DRIFT),
        (estimate(0.0, 1 + 1e-9), Verdict.IN_SYNC),
        (estimate(0.0, edited=True), Verdict.EDITED),
    ],
)
def test_verdict(given, verdict):
    assert decide(given, tolerance_seconds=0.04, dub_seconds=1200.0) is verdict


def test_a_speed_that_is_within_the_precision_is_no_drift():
    given = estimate(0.0, 1 + 20e-6, precision=0.05)
    assert decide(given, tolerance_seconds=0.04, dub_seconds=1200.0) is Verdict.IN_SYNC
