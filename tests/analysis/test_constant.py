"""Constant offsets and drift: what a dub does to a programme must not move the answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.analysis.compare import compare
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import DEFAULT_METHODS
from tests.analysis.signals import programme, shifted, track

MUSIC = programme(40.0, seed=11)
LENGTH = 24 * ANALYSIS_RATE_HZ
MASTER = track(MUSIC[8 * ANALYSIS_RATE_HZ :][:LENGTH])
VOICE, OTHER_VOICE = programme(24.0, seed=12), programme(24.0, seed=13)


def offset_of(dub, master=MASTER):
    return compare(master, track(dub), DEFAULT_METHODS).offset_seconds


@given(seconds=st.floats(-6.0, 6.0))
@settings(max_examples=12, deadline=None)
def test_any_shift_is_found_within_a_sample(seconds):
    assert offset_of(shifted(MUSIC, 8.0 + seconds, LENGTH)) == pytest.approx(seconds, abs=3e-5)


@pytest.mark.parametrize("level_db", [0, -6, -12, -18])
def test_other_dialogue_over_the_same_bed(level_db):
    bed = np.float32(10 ** (level_db / 20))
    master = track(bed * MASTER.samples + VOICE)
    assert offset_of(bed * shifted(MUSIC, 8.7654, LENGTH) + OTHER_VOICE, master) == pytest.approx(0.7654, abs=2e-4)


def test_a_second_in_common_at_the_files_ends_is_no_match():
    def ends_with(seconds):
        shared = int(seconds * ANALYSIS_RATE_HZ)
        return np.concatenate([programme(24.0, seed=14)[: LENGTH - shared], MASTER.samples[:shared]])

    assert offset_of(ends_with(1.2)) is None
    assert offset_of(ends_with(4.0)) == pytest.approx(-20.0, abs=1e-3)


def test_padding_is_not_programme():
    dub = np.concatenate([np.zeros(7 * ANALYSIS_RATE_HZ, np.float32), MASTER.samples[: 12 * ANALYSIS_RATE_HZ]])
    assert offset_of(dub) == pytest.approx(-7.0, abs=1e-5)


def test_inverted_polarity_is_noted():
    estimate = compare(MASTER, track(-shifted(MUSIC, 8.5, LENGTH)), DEFAULT_METHODS)
    assert estimate.offset_seconds == pytest.approx(0.5, abs=1e-5)
    assert any("inverted" in note for note in estimate.notes)


def test_start_times_of_the_files_count():
    dub = shifted(MUSIC, 8.5, LENGTH)
    late = compare(MASTER, track(dub, start_seconds=1.5), DEFAULT_METHODS)
    early = compare(track(MASTER.samples, start_seconds=0.25), track(dub), DEFAULT_METHODS)
    assert late.offset_seconds == pytest.approx(0.5 - 1.5, abs=1e-5)
    assert early.offset_seconds == pytest.approx(0.5 + 0.25, abs=1e-5)


@pytest.mark.parametrize("ppm", [-200, -50, 20, 100, 200])
def test_drift_is_measured(ppm):
    ratio = 1 + ppm * 1e-6
    music = programme(120.0, seed=14)
    at = np.arange(int(110 * ANALYSIS_RATE_HZ)) * ratio + 2.0 * ANALYSIS_RATE_HZ
    dub = np.interp(at, np.arange(music.size), music).astype(np.float32)
    estimate = compare(track(music), track(dub), DEFAULT_METHODS)
    assert (estimate.speed_ratio - ratio) * 1e6 == pytest.approx(0.0, abs=2.0)
    assert estimate.offset_seconds == pytest.approx(2.0, abs=2e-4)
    assert not estimate.edited


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.2])
def test_next_to_nothing_is_refused_without_error(seconds):
    dub = programme(5.0, seed=15)[: int(seconds * ANALYSIS_RATE_HZ)]
    assert offset_of(dub) is None


def test_non_finite_samples_count_as_silence():
    dub = shifted(MUSIC, 8.5, LENGTH)
    dub[1000:1400] = np.nan
    dub[5000] = np.inf
    built = track(dub)
    assert built.non_finite_count == 401
    assert compare(MASTER, built, DEFAULT_METHODS).offset_seconds == pytest.approx(0.5, abs=1e-5)
