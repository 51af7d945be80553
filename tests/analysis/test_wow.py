"""A dub that wanders by milliseconds is one programme, not many edits."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import verdict
from sync_core.analysis.compare import compare
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.result import Verdict
from tests.analysis.signals import programme, track

MUSIC = programme(70.0, seed=41)
MASTER = track(MUSIC)
SECONDS = 60.0
AT = np.arange(int(SECONDS * ANALYSIS_RATE_HZ)) / ANALYSIS_RATE_HZ


def wandering(deviation_seconds: np.ndarray):
    """Compare a dub that plays the programme from 2 s on, early by a deviation that changes with time."""
    at = (2.0 + AT + deviation_seconds) * ANALYSIS_RATE_HZ
    voice = 0.5 * programme(SECONDS, seed=42)
    return compare(
        MASTER, track(np.interp(at, np.arange(MUSIC.size), MUSIC).astype(np.float32) + voice), DEFAULT_METHODS
    )


def assert_wow_about(estimate, offset_seconds, within):
    assert estimate.offset_seconds == pytest.approx(offset_seconds, abs=within)
    assert not estimate.edited
    assert any("Wow" in note for note in estimate.notes)
    assert estimate.precision_seconds >= abs(estimate.offset_seconds - offset_seconds)
    assert verdict.decide(estimate, tolerance_seconds=0.04, dub_seconds=SECONDS) is Verdict.OFFSET


@pytest.mark.parametrize(("amplitude", "hz"), [(1.5e-3, 0.1), (3e-3, 0.05), (0.6e-3, 0.5), (6e-3, 0.03), (12e-3, 0.02)])
def test_slow_wow_is_one_offset(amplitude, hz):
    assert_wow_about(wandering(amplitude * np.sin(2 * np.pi * hz * AT)), 2.0, amplitude)


@pytest.mark.parametrize("step", [4e-3, -9e-3, 13e-3])
def test_steps_that_come_and_go_are_no_edits(step):
    away = (np.floor(AT / 8.0) % 3) == 1
    assert_wow_about(wandering(step * away), 2.0, 1e-3)


def test_wow_that_is_best_heard_where_it_is_steepest_is_no_drift():
    hidden = np.where(np.abs(AT - 29.0) < 3.0, 0.0, 3.0)
    swing = 4e-3 * np.sin(2 * np.pi / 58.0 * AT)
    dub = np.interp((2.0 + AT + swing) * ANALYSIS_RATE_HZ, np.arange(MUSIC.size), MUSIC)
    estimate = compare(MASTER, track((dub + hidden * programme(SECONDS, seed=42)).astype(np.float32)), DEFAULT_METHODS)
    assert estimate.speed_ratio == 1.0
    assert_wow_about(estimate, 2.0, 2e-3)


def test_a_steady_dub_has_no_wow():
    assert not wandering(np.zeros_like(AT)).notes


def test_steps_of_a_frame_remain_edits():
    estimate = wandering(0.04 * (AT > 25.0))
    assert estimate.edited
    assert not estimate.notes
