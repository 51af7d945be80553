"""Placing frames by their timestamps, on frames that hold no sound."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.media.damage import Damage
from sync_core.media.timeline import Timeline

RATE = 48_000
SIZE = 1_024
STEP = SIZE / RATE


@dataclass(eq=False)
class Frame:
    pts: int | None
    samples: int = SIZE
    sample_rate: int = RATE


def run(times: list[float | None], end: float = 1e4) -> tuple[list[tuple[int, float, float]], tuple[str, ...]]:
    """Place frames of 1024 samples at the given seconds; returns (index, silence, skip) of each, and what was told."""
    damage = Damage()
    frames = [Frame(None if time is None else round(time * RATE)) for time in times]
    placed = Timeline(damage, tick_seconds=1 / RATE, end_seconds=end).place(frames)
    out = [(frames.index(one.frame), one.silence_seconds, one.skip_seconds) for one in placed]
    return out, damage.sentences()


def steady(count: int, start: float = 0.0) -> list[float]:
    return [start + index * STEP for index in range(count)]


@pytest.mark.parametrize("start", [0.0, 1.4, -0.02, 90_000.0])
def test_steady_frames_are_just_passed_on(start: float) -> None:
    out, told = run(steady(50, start))
    assert out == [(index, 0.0, 0.0) for index in range(50)]
    assert told == ()


def test_jitter_means_nothing() -> None:
    times = [time + 0.004 * (-1) ** index for index, time in enumerate(steady(50))]
    out, told = run(times)
    assert [one[1:] for one in out] == [(0.0, 0.0)] * 50
    assert told == ()


def test_a_lost_packet_becomes_silence() -> None:
    times = steady(20)
    del times[10]
    out, told = run(times)
    assert out[10] == (10, pytest.approx(STEP, abs=1e-4), 0.0)
    assert told == ("0.021 s of audio are missing at 0.21 s; silence was put there",)


def test_every_second_packet_lost() -> None:
    out, told = run(steady(40)[::2])
    assert sum(silence for _, silence, _ in out) == pytest.approx(18 * STEP, abs=2e-3)
    assert told[-1] == "15 more jumps in the timestamps"


def test_an_overlap_is_cut_and_told_once() -> None:
    times = steady(20) + steady(20, 10 * STEP + 0.005)
    out, told = run(times)
    assert [index for index, _, _ in out[:20]] == list(range(20))
    assert out[20] == (29, 0.0, pytest.approx(STEP - 0.005, abs=1e-4))
    assert [one[1:] for one in out[21:]] == [(0.0, 0.0)] * 10
    assert len(told) == 1
    assert "are there twice; the repeat was left out" in told[0]


@pytest.mark.parametrize("stray", [100.0, -3.0, 0.5, 1e6])
def test_a_single_stray_timestamp_is_ignored(stray: float) -> None:
    times = steady(20)
    times[10] += stray
    out, told = run(times)
    assert [one[1:] for one in out] == [(0.0, 0.0)] * 20
    assert told == ()


def test_a_clock_that_was_set_anew_goes_on() -> None:
    out, told = run(steady(20, 600.0) + steady(20))
    assert [one[1:] for one in out] == [(0.0, 0.0)] * 40
    assert len(told) == 1
    assert "taken as going on without a gap" in told[0]


def test_a_long_gap_is_believed_only_within_what_was_announced() -> None:
    times = steady(20) + steady(20, 300.0)
    believed, _ = run(times, end=301.0)
    assert believed[20][1] == pytest.approx(300.0 - 20 * STEP, abs=1e-4)
    doubted, told = run(times, end=1.0)
    assert [one[1:] for one in doubted] == [(0.0, 0.0)] * 40
    assert "taken as going on" in told[0]


def test_a_gap_is_whole_packets_where_timestamps_are_coarse() -> None:
    damage = Damage()
    frames = [Frame(round(index * STEP * 1_000)) for index in range(50) if not 20 <= index < 27]
    placed = list(Timeline(damage, tick_seconds=0.001, end_seconds=2.0).place(frames))
    assert placed[20].silence_seconds == pytest.approx(7 * STEP, abs=1e-9)


def test_a_clock_that_was_counted_at_another_rate_is_not_believed() -> None:
    frames = [Frame(index * SIZE) for index in range(10)]
    frames += [Frame((10 + index) * SIZE, sample_rate=32_000) for index in range(10)]
    damage = Damage()
    placed = Timeline(damage, tick_seconds=1 / RATE, end_seconds=1.0, counted_at_hz=RATE).place(frames)
    assert [one[1:] for one in placed] == [(0.0, 0.0)] * 20
    assert damage.sentences() == ()


def test_damaged_timestamps_cannot_fill_the_disk() -> None:
    out, _ = run([index * 50.0 for index in range(1_000)], end=1.0)
    assert sum(silence for _, silence, _ in out) <= 600.0


def test_frames_without_timestamps_go_on() -> None:
    out, told = run([0.0, None, None, 3 * STEP, None])
    assert [one[1:] for one in out] == [(0.0, 0.0)] * 5
    assert told == ()


@given(st.lists(st.none() | st.floats(-1e7, 1e7), max_size=60))
def test_any_timestamps_give_a_bounded_track(times: list[float | None]) -> None:
    out, _ = run(times, end=50.0)
    assert [index for index, _, _ in out] == sorted(index for index, _, _ in out)
    assert all(0.0 <= silence <= 3_600.0 and 0.0 <= skip < STEP + 1e-9 for _, silence, skip in out)
