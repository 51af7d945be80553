"""Whatever the samples are, the answer is an estimate or a refusal, never an error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sync_core.analysis.compare import compare
from sync_core.analysis.track import ANALYSIS_RATE_HZ, TrackBuilder
from sync_core.domain.methods import DEFAULT_METHODS
from tests.analysis.signals import programme, track

MASTER = track(programme(12.0, seed=31))


def assert_sound(estimate, dub_seconds):
    assert 0.0 <= estimate.confidence <= 1.0
    if estimate.offset_seconds is None:
        assert estimate.segments == ()
        return
    assert np.isfinite(estimate.offset_seconds)
    assert estimate.precision_seconds > 0
    assert estimate.segments[0].dub_start == 0.0
    assert estimate.segments[-1].dub_end == pytest.approx(dub_seconds, abs=1e-3)


@given(
    samples=arrays.arrays(
        np.float32,
        st.integers(0, 3 * ANALYSIS_RATE_HZ),
        elements=st.sampled_from(np.array([0.0, 1.0, -1.0, 1e-40, 3e38, np.inf, -np.inf, np.nan, 1e-6], np.float32)),
    )
)
@settings(max_examples=15, deadline=None)
def test_any_samples_give_an_estimate(samples):
    dub = track(samples)
    assert_sound(compare(MASTER, dub, DEFAULT_METHODS), dub.duration_seconds)
    assert_sound(compare(dub, MASTER, DEFAULT_METHODS), MASTER.duration_seconds)


@pytest.mark.parametrize(
    "samples",
    [
        np.full(5 * ANALYSIS_RATE_HZ, 0.5),
        np.tile([1.0, -1.0], 3 * ANALYSIS_RATE_HZ),
        np.sin(2 * np.pi * 440 * np.arange(6 * ANALYSIS_RATE_HZ) / ANALYSIS_RATE_HZ),
        np.eye(1, 6 * ANALYSIS_RATE_HZ, 20_000)[0],
    ],
    ids=["dc", "alternating", "sine", "click"],
)
def test_what_is_no_programme_is_refused(samples):
    dub = track(samples.astype(np.float32))
    assert compare(MASTER, dub, DEFAULT_METHODS).offset_seconds is None


def test_clipping_does_not_hide_the_offset():
    dub = np.clip(20 * MASTER.samples[ANALYSIS_RATE_HZ:], -1, 1)
    assert compare(MASTER, track(dub), DEFAULT_METHODS).offset_seconds == pytest.approx(1.0, abs=1e-4)


def test_spooled_and_held_tracks_are_the_same(tmp_path):
    builder = TrackBuilder(0.5, tmp_path / "audio")
    for block in np.array_split(MASTER.samples, 37):
        builder.push(block)
    spooled = builder.finish()
    assert np.array_equal(spooled.samples, MASTER.samples)
    assert np.array_equal(spooled.log_mel, MASTER.log_mel)
    assert spooled.start_seconds == 0.5
