"""Laws that every method keeps, however it looks at a recording."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import compare as comparing
from sync_core.analysis.compare import compare
from sync_core.analysis.methods.registry import AVAILABLE
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.errors import MethodUnavailable
from sync_core.domain.methods import Method
from tests.analysis.signals import programme, shifted, track

SECONDS = 24.0
MUSIC = programme(SECONDS + 8.0, seed=1)
LENGTH = int(SECONDS * ANALYSIS_RATE_HZ)
MASTER = track(MUSIC[:LENGTH])

every_method = pytest.mark.parametrize("method", list(AVAILABLE))


def test_the_three_signal_methods_are_there():
    assert set(AVAILABLE) == {Method.MFCC, Method.ONSET, Method.SPECTRAL}


@every_method
def test_a_file_against_itself_is_exactly_zero(method):
    estimate = compare(MASTER, MASTER, [method])
    assert estimate.offset_seconds == 0.0
    assert estimate.speed_ratio == 1.0
    assert estimate.confidence > 0.9


@every_method
@pytest.mark.parametrize("seconds", [-3.21, -0.01234, 0.00007, 1.5, 6.789012])
def test_a_known_shift_is_found(method, seconds):
    dub = shifted(MUSIC, seconds, LENGTH)
    estimate = compare(MASTER, track(dub), [method])
    assert estimate.offset_seconds == pytest.approx(seconds, abs=2e-5)


@every_method
def test_swapping_negates(method):
    dub = track(shifted(MUSIC, 2.34567, LENGTH) + programme(SECONDS, seed=2))
    one, other = compare(MASTER, dub, [method]), compare(dub, MASTER, [method])
    slack = one.precision_seconds + other.precision_seconds
    assert one.offset_seconds == pytest.approx(-other.offset_seconds, abs=slack)


@every_method
@pytest.mark.parametrize("gain", [0.01, 0.3, 3.0, -1.0])
def test_gain_and_polarity_change_nothing(method, gain):
    dub = shifted(MUSIC, 1.25, LENGTH)
    plain, scaled = (compare(MASTER, track(np.float32(g) * dub), [method]) for g in (1.0, gain))
    assert scaled.offset_seconds == pytest.approx(plain.offset_seconds, abs=1e-5)


@every_method
def test_silence_is_refused(method):
    silent = track(np.zeros(LENGTH, np.float32))
    for pair in ((MASTER, silent), (silent, MASTER), (silent, silent)):
        estimate = compare(*pair, [method])
        assert estimate.offset_seconds is None
        assert estimate.confidence < 0.5
        assert [result.ok for result in estimate.methods] == [False]


@every_method
def test_another_programme_is_refused(method):
    estimate = compare(MASTER, track(programme(SECONDS, seed=3)), [method])
    assert estimate.offset_seconds is None
    assert estimate.methods[0].error


@every_method
def test_features_are_zero_in_silence_and_steady_under_gain(method):
    extract = AVAILABLE[method].features
    assert not extract(track(np.zeros(LENGTH, np.float32))).values.any()
    loud, soft = extract(MASTER).values.astype(int), extract(track(0.2 * MASTER.samples)).values.astype(int)
    assert np.mean(np.abs(loud - soft)) < 0.5


def test_an_absent_method_is_reported_and_the_others_answer():
    estimate = compare(MASTER, MASTER, [Method.AI, Method.MFCC])
    assert {result.method: result.ok for result in estimate.methods} == {Method.MFCC: True, Method.AI: False}
    assert estimate.method_used is Method.MFCC


def test_an_absent_method_alone_is_an_error():
    with pytest.raises(MethodUnavailable):
        compare(MASTER, MASTER, [Method.AI])


def test_progress_rises_to_one_and_raising_cancels():
    seen: list[float] = []
    compare(MASTER, MASTER, [Method.MFCC], on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
    assert len(seen) > 10

    class Cancelled(Exception):
        pass

    def cancel(fraction: float) -> None:
        if fraction > 0.3:
            raise Cancelled

    with pytest.raises(Cancelled):
        comparing.compare(MASTER, MASTER, [Method.MFCC], on_progress=cancel)
