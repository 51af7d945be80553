"""Which of several lags is the true one, by what the programme does not repeat."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import echoes, mel, rivals
from sync_core.analysis.hypotheses import Checked, Survey
from sync_core.analysis.phase import PhaseScores
from sync_core.analysis.progress import ignore
from sync_core.analysis.ridge import CLEAR_SCORE
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track
from tests.analysis.signals import programme, shifted, track

BAR_SECONDS = 2.400019
"""No whole number of samples."""
SECONDS = 40.0
LENGTH = int(SECONDS * ANALYSIS_RATE_HZ)
EARLY_SECONDS = 5.3
LAG = round(EARLY_SECONDS * ANALYSIS_RATE_HZ)


def looped(effects: int) -> np.ndarray:
    """A bar over and over, and effects that are heard once."""
    bar = programme(BAR_SECONDS + 2.0, 1)
    spectrum_length = 3 * LENGTH
    out = np.zeros(spectrum_length, np.float32)
    for k in range(int(spectrum_length / ANALYSIS_RATE_HZ / BAR_SECONDS)):
        start = k * BAR_SECONDS * ANALYSIS_RATE_HZ
        one = shifted(bar, 1.0 - (start - np.floor(start)) / ANALYSIS_RATE_HZ, int(BAR_SECONDS * ANALYSIS_RATE_HZ))
        at = int(start)
        out[at : at + one.size] += one[: out.size - at]
    rng = np.random.default_rng(2)
    for k in range(effects):
        effect = 2.0 * programme(0.6, 10 + k)
        at = int(rng.uniform(0, out.size - effect.size))
        out[at : at + effect.size] += effect
    return out


def pair(effects: int, sign: int = 1) -> tuple[Track, Track]:
    world = looped(effects)
    master = shifted(world, 20.0, LENGTH) + programme(SECONDS, 101)
    dub = shifted(world, 20.0 + EARLY_SECONDS, LENGTH) + programme(SECONDS, 102)
    return track(master), track(np.float32(sign) * dub)


def echo(bars: int) -> int:
    return LAG + round(bars * BAR_SECONDS * ANALYSIS_RATE_HZ)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bars", [1, -1, 3, -4])
def test_what_is_heard_once_agrees_at_the_true_lag_and_is_inverted_at_its_echo(bars: int, sign: int):
    master, dub = pair(effects=60, sign=sign)
    at_lag, at_echo = echoes.agreement(master, dub, LAG, echo(bars))
    assert at_lag > CLEAR_SCORE
    assert at_echo < 0
    swapped = echoes.agreement(master, dub, echo(bars), LAG)
    assert swapped[1] > CLEAR_SCORE
    assert swapped[0] < 0


def test_a_loop_alone_says_nothing():
    master, dub = pair(effects=0)
    assert np.abs(echoes.agreement(master, dub, LAG, echo(2))).max() < CLEAR_SCORE


def test_files_too_short_to_hold_the_repeat_say_nothing():
    master, dub = pair(effects=60)
    assert echoes.agreement(master, dub, LAG, LAG + LENGTH) == (0.0, 0.0)


def settled(effects: int, phases_of: dict[int, float], sharpness_of: dict[int, float]) -> list[Checked]:
    """Decide among lags that are equally coherent; heights of whole files' phases and of their features by lag."""
    master, dub = pair(effects)
    heights, sharp = np.zeros(2 * LENGTH, np.float32), np.full(4 * LENGTH, 1.0, np.float32)
    for lag, height in phases_of.items():
        heights[LENGTH + lag] = height
    for lag, height in sharpness_of.items():
        sharp[2 * LENGTH + round(lag / mel.HOP_SAMPLES)] = height
    survey = Survey((), {}, sharp, -2 * LENGTH, 1)
    checked = [Checked(lag, {}, 100.0) for lag in phases_of]
    return rivals.settle(master, dub, survey, checked, PhaseScores(heights, -LENGTH, 1), on_block=ignore)


def test_a_rival_at_which_it_is_heard_better_takes_the_place_of_the_best():
    """The phases of whole files may favour an echo by a little."""
    phases = {echo(1): 60.0, echo(2): 55.0, LAG: 50.0}
    best, *others = settled(60, phases, dict.fromkeys(phases, 50.0))
    assert best.lag_samples == LAG
    assert max(one.weight for one in others) < 0.5 * best.weight


def test_where_nothing_is_heard_once_phases_and_features_must_agree():
    phases = {echo(1): 200.0, LAG: 40.0}
    best, other = settled(0, phases, {echo(1): 30.0, LAG: 10.0})
    assert (best.lag_samples, other.lag_samples) == (echo(1), LAG)
    assert other.weight < 0.5 * best.weight
    best, other = settled(0, phases, {echo(1): 20.0, LAG: 50.0})
    assert other.weight == best.weight
