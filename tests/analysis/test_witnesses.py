"""What the two witnesses say of a master that repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis.line import Line
from sync_core.analysis.methods.registry import AVAILABLE
from sync_core.analysis.progress import ignore
from sync_core.analysis.witnesses import Envelopes, Pair, Waveforms, Witness, master_repeats
from sync_core.domain.methods import Method
from tests.analysis.signals import programme, track

RATE_HZ = 16_000
BAR_SECONDS, BARS = 12, 4


@pytest.fixture(scope="module")
def pair() -> Pair:
    """A bar that the master plays over and over, and a dub that has nothing of it."""
    master = track(np.tile(programme(BAR_SECONDS, 1), BARS))
    dub = track(programme(BAR_SECONDS * BARS, 2))
    features = AVAILABLE[Method.MFCC].features
    return Pair(master, dub, features(master), features(dub), ignore)


def line(offset_seconds: float) -> Line:
    return Line(offset_seconds * RATE_HZ, 1.0, 0, BAR_SECONDS * BARS * RATE_HZ)


@pytest.mark.parametrize("of", [Waveforms, Envelopes])
@pytest.mark.parametrize(("apart_seconds", "repeats"), [(BAR_SECONDS, True), (7.0, False)])
def test_a_master_repeats_itself_a_bar_later_only(pair: Pair, of: type[Witness], apart_seconds: float, repeats: bool):
    first, last = 2 * RATE_HZ, 10 * RATE_HZ
    assert master_repeats(of(pair), line(3.0 + apart_seconds), line(3.0), first, last) is repeats
    assert master_repeats(of(pair), line(3.0), line(3.0 + apart_seconds), first, last) is repeats
