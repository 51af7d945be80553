"""Edits, speeds and parts in common: what the segments say."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

from sync_core.analysis.compare import compare
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import DEFAULT_METHODS, Method
from sync_core.domain.result import SegmentKind
from tests.analysis.signals import programme, track

MUSIC = programme(70.0, seed=21)
MASTER = track(MUSIC)
OTHER = programme(30.0, seed=22)
RNG = np.random.default_rng(23)


def seconds(start, stop):
    return MUSIC[int(start * ANALYSIS_RATE_HZ) : int(stop * ANALYSIS_RATE_HZ)]


def estimate_of(*parts, master=MASTER, methods=DEFAULT_METHODS):
    return compare(master, track(np.concatenate(parts).astype(np.float32)), methods)


def lines(estimate):
    return [s for s in estimate.segments if s.kind is SegmentKind.PROGRAMME]


def gaps(estimate):
    return [s for s in estimate.segments if s.kind is not SegmentKind.PROGRAMME]


def assert_covers_the_dub(estimate, length):
    assert estimate.segments[0].dub_start == 0.0
    assert estimate.segments[-1].dub_end == pytest.approx(length, abs=1e-3)
    for one, other in itertools.pairwise(estimate.segments):
        assert one.dub_end == other.dub_start
    for segment in estimate.segments:
        assert (segment.offset_seconds is None) == (segment.kind is not SegmentKind.PROGRAMME)


def test_a_cut_makes_two_segments():
    estimate = estimate_of(seconds(0, 31.3), seconds(37.8, 70))
    first, second = lines(estimate)
    assert estimate.edited
    assert first.offset_seconds == pytest.approx(0.0, abs=1e-4)
    assert second.offset_seconds == pytest.approx(6.5, abs=1e-4)
    assert second.dub_start == pytest.approx(31.3, abs=0.02)
    assert_covers_the_dub(estimate, 63.5)


@pytest.mark.parametrize("method", [Method.MFCC, Method.ONSET, Method.SPECTRAL])
def test_each_method_alone_sees_an_edit(method):
    estimate = estimate_of(seconds(0, 30), seconds(40, 70), methods=[method])
    assert [round(s.offset_seconds, 3) for s in lines(estimate)] == [0.0, 10.0]


@pytest.mark.parametrize(
    ("filler", "kind"),
    [
        (np.zeros(6 * ANALYSIS_RATE_HZ), SegmentKind.SILENCE),
        (0.1 * np.sin(2 * np.pi * 1000 * np.arange(6 * ANALYSIS_RATE_HZ) / ANALYSIS_RATE_HZ), SegmentKind.TONE),
        (OTHER[: 6 * ANALYSIS_RATE_HZ], SegmentKind.OTHER),
    ],
)
def test_an_insert_is_an_entry_of_its_own(filler, kind):
    estimate = estimate_of(seconds(0, 30), filler, seconds(30, 70))
    (gap,) = gaps(estimate)
    assert gap.kind is kind
    assert (gap.dub_start, gap.dub_end) == pytest.approx((30.0, 36.0), abs=0.04)
    assert [s.offset_seconds for s in lines(estimate)] == pytest.approx([0.0, -6.0], abs=1e-4)
    assert_covers_the_dub(estimate, 76.0)


def test_what_a_voice_hides_behind_a_cut_is_no_material_of_its_own():
    spoken = slice(35 * ANALYSIS_RATE_HZ, 42 * ANALYSIS_RATE_HZ)
    master, dub = MUSIC.copy(), MUSIC.copy()
    master[spoken], dub[spoken] = programme(7.0, seed=31), programme(7.0, seed=32)
    cut = np.concatenate([dub[: 30 * ANALYSIS_RATE_HZ], dub[35 * ANALYSIS_RATE_HZ :]])
    estimate = compare(track(master), track(cut), DEFAULT_METHODS)
    assert [round(s.offset_seconds, 4) for s in estimate.segments] == [0.0, 5.0]
    assert 29.9 < estimate.segments[1].dub_start < 37.1


def test_what_a_voice_hides_where_the_dub_goes_back_is_no_material_of_its_own():
    dub = np.concatenate([seconds(0, 20), seconds(40, 55), seconds(20, 40), seconds(55, 70)])
    at = np.arange(dub.size) / ANALYSIS_RATE_HZ
    estimate = estimate_of(dub + RNG.normal(0, 3, dub.size) * ((at > 34.9) & (at < 38.0)))
    assert [round(s.offset_seconds, 4) for s in estimate.segments] == [0.0, 20.0, -15.0, 0.0]


@pytest.mark.parametrize(
    ("instead", "kind"),
    [(np.zeros(5 * ANALYSIS_RATE_HZ), SegmentKind.SILENCE), (OTHER[: 12 * ANALYSIS_RATE_HZ], SegmentKind.OTHER)],
)
def test_black_or_a_scene_in_place_of_a_longer_one_is_an_entry_of_its_own(instead, kind):
    estimate = estimate_of(seconds(0, 20), instead, seconds(45, 70))
    (gap,) = gaps(estimate)
    assert gap.kind is kind
    assert (gap.dub_start, gap.dub_end) == pytest.approx((20.0, 20.0 + instead.size / ANALYSIS_RATE_HZ), abs=0.04)


@pytest.mark.parametrize("pause", [0.0, 0.8])
def test_a_silence_about_as_long_as_what_was_inserted_is_the_insert_though_voices_hide_what_is_shared(pause):
    spoken = slice(int(28.9 * ANALYSIS_RATE_HZ), int(32.4 * ANALYSIS_RATE_HZ))
    master, dub = MUSIC.copy(), MUSIC.copy()
    master[spoken], dub[spoken] = programme(3.5, seed=31), programme(3.5, seed=32)
    paused = slice(30 * ANALYSIS_RATE_HZ, int((30 + pause) * ANALYSIS_RATE_HZ))
    master[paused] = dub[paused] = 0.0
    black = np.zeros(6 * ANALYSIS_RATE_HZ)
    estimate = compare(track(master), track(np.insert(dub, 30 * ANALYSIS_RATE_HZ, black)), DEFAULT_METHODS)
    (gap,) = gaps(estimate)
    assert (gap.dub_start, gap.dub_end) == pytest.approx((30.0, 36.0), abs=0.02 + pause)
    assert gap.dub_end - gap.dub_start == pytest.approx(6.0, abs=0.02)
    assert gap.kind is SegmentKind.SILENCE


def test_a_silence_behind_a_cut_is_the_programmes():
    quiet = MUSIC.copy()
    quiet[40 * ANALYSIS_RATE_HZ : 45 * ANALYSIS_RATE_HZ] = 0.0
    dub = np.concatenate([quiet[: 30 * ANALYSIS_RATE_HZ], quiet[40 * ANALYSIS_RATE_HZ :]])
    estimate = compare(track(quiet), track(dub.astype(np.float32)), DEFAULT_METHODS)
    assert [round(s.offset_seconds, 4) for s in estimate.segments] == [0.0, 10.0]
    assert 29.98 < estimate.segments[1].dub_start < 35.02


@pytest.mark.parametrize(
    "dub", [OTHER, MUSIC[:-ANALYSIS_RATE_HZ], np.interp(np.arange(0, 1e6, 25 / 24), np.arange(MUSIC.size), MUSIC)]
)
def test_progress_never_goes_back(dub):
    told: list[float] = []
    compare(MASTER, track(dub.astype(np.float32)), DEFAULT_METHODS, on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_a_replaced_stretch_lies_between_segments_of_one_offset():
    estimate = estimate_of(seconds(0, 25), OTHER[: 12 * ANALYSIS_RATE_HZ], seconds(37, 70))
    assert [s.offset_seconds for s in lines(estimate)] == pytest.approx([0.0, 0.0], abs=1e-4)
    assert [g.kind for g in gaps(estimate)] == [SegmentKind.OTHER]
    assert estimate.edited


def test_scenes_in_another_order_lie_where_they_are_from():
    estimate = estimate_of(seconds(0, 20), seconds(40, 55), seconds(20, 40), seconds(55, 70))
    assert [round(s.offset_seconds, 4) for s in estimate.segments] == [0.0, 20.0, -15.0, 0.0]
    assert [s.dub_end for s in estimate.segments] == pytest.approx([20.0, 35.0, 55.0, 70.0], abs=0.04)


def test_a_scene_shown_again_may_as_well_be_music_that_is_used_again():
    estimate = estimate_of(seconds(0, 40), seconds(10, 25), seconds(40, 70))
    assert [(s.kind, s.offset_seconds and round(s.offset_seconds, 4)) for s in estimate.segments] == [
        (SegmentKind.PROGRAMME, 0.0),
        (SegmentKind.OTHER, None),
        (SegmentKind.PROGRAMME, -15.0),
    ]


def test_a_step_of_one_frame_is_found():
    estimate = estimate_of(seconds(0, 35), np.zeros(640), seconds(35, 70))
    assert [round(s.offset_seconds, 4) for s in lines(estimate)] == [0.0, -0.04]


@pytest.mark.parametrize("seed", range(3))
def test_where_a_voice_hides_the_programme_a_cut_is_where_the_line_before_ends(seed):
    dub = np.concatenate([seconds(0, 31.3), seconds(37.8, 70)])
    at = np.arange(dub.size) / ANALYSIS_RATE_HZ
    hidden = ((at > 31.3) & (at < 32.2)) | ((at > 32.2) & (at * 1.7 % 1 < 0.5))
    voice = np.random.default_rng(seed).normal(0, 3, dub.size)
    _, second = lines(estimate_of(dub + voice * hidden))
    assert second.dub_start == pytest.approx(31.3, abs=0.04)


def test_black_ends_where_it_does_though_a_voice_hides_the_programme_behind_it():
    dub = np.concatenate([seconds(0, 30), np.zeros(8 * ANALYSIS_RATE_HZ), seconds(30, 70)])
    at = np.arange(dub.size) / ANALYSIS_RATE_HZ
    voice = RNG.normal(0, 3, dub.size) * ((at > 38) & (at < 39.3))
    (gap,) = gaps(estimate_of(dub + voice))
    assert (gap.dub_start, gap.dub_end) == pytest.approx((30.0, 38.0), abs=0.02)


def test_an_insert_whose_edges_a_voice_hides_is_as_long_as_the_lines_are_apart():
    dub = np.concatenate([seconds(0, 30), OTHER[: 6 * ANALYSIS_RATE_HZ], seconds(30, 70)])
    at = np.arange(dub.size) / ANALYSIS_RATE_HZ
    hidden = ((at > 29.0) & (at < 30.0)) | ((at > 36.0) & (at < 37.2))
    (gap,) = gaps(estimate_of(dub + RNG.normal(0, 3, dub.size) * hidden))
    assert gap.dub_end - gap.dub_start == pytest.approx(6.0, abs=0.02)
    assert 28.9 < gap.dub_start < 31.2


def insert_within_a_silence(filler):
    """The gap found where something was inserted at 30 s of a programme that is silent from 28 to 32 s."""
    silent = MUSIC.copy()
    silent[28 * ANALYSIS_RATE_HZ : 32 * ANALYSIS_RATE_HZ] = 0.0
    at = 30 * ANALYSIS_RATE_HZ
    (gap,) = gaps(estimate_of(silent[:at], filler, silent[at:], master=track(silent)))
    return gap


def test_an_insert_within_a_silence_of_the_programme_is_where_it_sounds():
    gap = insert_within_a_silence(OTHER[: 6 * ANALYSIS_RATE_HZ])
    assert (gap.dub_start, gap.dub_end) == pytest.approx((30.0, 36.0), abs=0.04)


def test_black_within_a_silence_of_the_programme_is_as_long_as_the_lines_are_apart():
    gap = insert_within_a_silence(np.zeros(6 * ANALYSIS_RATE_HZ))
    assert gap.kind is SegmentKind.SILENCE
    assert gap.dub_end - gap.dub_start == pytest.approx(6.0, abs=0.02)
    assert gap.dub_start == pytest.approx(30.0, abs=0.5)


@pytest.mark.parametrize("at_seconds", [28.4, 31.6])
def test_room_tone_within_a_quiet_pause_of_the_programme_is_where_it_was_inserted(at_seconds):
    hushed, at = MUSIC.copy(), int(at_seconds * ANALYSIS_RATE_HZ)
    hushed[28 * ANALYSIS_RATE_HZ : 32 * ANALYSIS_RATE_HZ] *= 3e-3
    tone = 3e-3 * OTHER[: 6 * ANALYSIS_RATE_HZ]
    (gap,) = gaps(estimate_of(hushed[:at], tone, hushed[at:], master=track(hushed)))
    assert (gap.dub_start, gap.dub_end) == pytest.approx((at_seconds, at_seconds + 6.0), abs=0.1)


def test_sound_in_place_of_some_of_the_programme_may_have_any_length():
    estimate = estimate_of(seconds(0, 25), OTHER[: 12 * ANALYSIS_RATE_HZ], seconds(31, 70))
    (gap,) = gaps(estimate)
    assert (gap.dub_start, gap.dub_end) == pytest.approx((25.0, 37.0), abs=0.04)


def test_a_cut_and_an_insert_that_leave_a_step_of_milliseconds_are_no_wow():
    estimate = estimate_of(seconds(0, 20), seconds(25.006, 45), OTHER[: 5 * ANALYSIS_RATE_HZ], seconds(45, 70))
    assert [s.offset_seconds for s in lines(estimate)] == pytest.approx([0.0, 5.006, 0.006], abs=1e-4)
    assert not estimate.notes


def test_black_in_a_dub_whose_phases_were_moved():
    moved = programme(70.0, seed=21, carrier_seed=25)
    at = int(30.3 * ANALYSIS_RATE_HZ)
    estimate = estimate_of(moved[:at], np.zeros(8 * ANALYSIS_RATE_HZ), moved[at:])
    (gap,) = gaps(estimate)
    assert gap.kind is SegmentKind.SILENCE
    assert (gap.dub_start, gap.dub_end) == pytest.approx((30.3, 38.3), abs=0.1)
    assert [s.offset_seconds for s in lines(estimate)] == pytest.approx([0.0, -8.0], abs=5e-3)


def played_at(speed, samples):
    """Play faster with the pitch kept, by laying windows of a tenth of a second closer together."""
    size, step = ANALYSIS_RATE_HZ // 10, ANALYSIS_RATE_HZ // 20
    out = np.zeros(int(samples.size / speed) + size)
    for at in range(0, int((samples.size - size) / speed), step):
        out[at : at + size] += np.hanning(size) * samples[int(at * speed) : int(at * speed) + size]
    return out


def test_a_moment_that_fits_by_chance_is_not_told_in_place_of_another_speed():
    dub = played_at(25 / 24, programme(70.0, seed=21, carrier_seed=25))
    dub[30 * ANALYSIS_RATE_HZ : 34 * ANALYSIS_RATE_HZ] += 0.2 * seconds(3, 7)
    estimate = estimate_of(dub)
    assert not lines(estimate)
    assert [round(one.offset_seconds, 3) for one in estimate.candidates] == [-27.0]


def test_another_speed_is_heard_though_all_phases_were_moved():
    (whole,) = lines(estimate_of(played_at(25 / 24, programme(70.0, seed=21, carrier_seed=25))))
    assert whole.speed_ratio == pytest.approx(25 / 24)
    assert whole.offset_seconds == pytest.approx(0.0, abs=5e-3)


def test_a_leader_is_told_but_is_no_edit():
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(15 * ANALYSIS_RATE_HZ) / ANALYSIS_RATE_HZ)
    estimate = estimate_of(tone, np.zeros(5 * ANALYSIS_RATE_HZ), seconds(0, 50))
    assert not estimate.edited
    assert estimate.offset_seconds == pytest.approx(-20.0, abs=1e-4)
    assert estimate.segments[0].kind is SegmentKind.TONE


def test_a_common_part_of_two_programmes_is_reported_alone():
    elsewhere = programme(60.0, seed=24)
    at = 30 * ANALYSIS_RATE_HZ
    estimate = estimate_of(elsewhere[:at], seconds(10, 22), elsewhere[at:])
    (line,) = lines(estimate)
    assert estimate.edited
    assert line.offset_seconds == pytest.approx(-20.0, abs=1e-4)
    assert (line.dub_start, line.dub_end) == pytest.approx((30.0, 42.0), abs=0.1)


@pytest.mark.parametrize("ratio", [25 / 24, 24 / 25, 0.8, 25 * 1001 / 24000, 1.001, 1 / 1.001, 1.0015, 0.9985])
def test_another_speed_is_measured(ratio):
    at = np.arange(int(65 * ANALYSIS_RATE_HZ / max(ratio, 1.0))) * ratio + 1.5 * ANALYSIS_RATE_HZ
    estimate = estimate_of(np.interp(at, np.arange(MUSIC.size), MUSIC))
    assert estimate.speed_ratio == pytest.approx(ratio, abs=2e-6)
    assert estimate.offset_seconds == pytest.approx(1.5, abs=1e-3)
    assert not estimate.edited


def test_a_standard_speed_has_its_name():
    ratio = 25 * 1001 / 24000
    at = np.arange(int(65 * ANALYSIS_RATE_HZ / ratio)) * ratio
    estimate = estimate_of(np.interp(at, np.arange(MUSIC.size), MUSIC))
    assert estimate.rate_label == "25/23.976 PAL speed-up"
    assert estimate.speed_ratio == ratio


def test_a_cut_in_a_sped_up_dub():
    ratio = 25 / 24
    rate = ANALYSIS_RATE_HZ
    at = np.concatenate([np.arange(0, 30 * rate, ratio), np.arange(40 * rate, 69 * rate, ratio)])
    estimate = estimate_of(np.interp(at, np.arange(MUSIC.size), MUSIC))
    first, second = lines(estimate)
    assert first.speed_ratio == pytest.approx(ratio, abs=3e-6)
    assert second.speed_ratio == pytest.approx(ratio, abs=3e-6)
    assert second.offset_seconds - first.offset_seconds == pytest.approx(10.0, abs=2e-3)


@pytest.mark.parametrize("voice_level", [0.0, 10.0])
def test_a_replacement_is_seen_though_it_is_longer_than_all_else(voice_level):
    music = programme(150.0, seed=21)
    dub = music + voice_level * programme(150.0, seed=25)
    dub[30 * ANALYSIS_RATE_HZ : 120 * ANALYSIS_RATE_HZ] = programme(90.0, seed=24)
    estimate = compare(track(music), track(dub), DEFAULT_METHODS)
    assert [s.offset_seconds for s in lines(estimate)] == pytest.approx([0.0, 0.0], abs=1e-4)
    (gap,) = gaps(estimate)
    assert (gap.dub_start, gap.dub_end) == pytest.approx((30.0, 120.0), abs=0.04)
    assert_covers_the_dub(estimate, 150.0)


def test_a_minute_in_which_only_the_sum_tells_of_the_programme_is_no_edit():
    music = programme(150.0, seed=21)
    dub = music.copy()
    dub[40 * ANALYSIS_RATE_HZ : 110 * ANALYSIS_RATE_HZ] += np.random.default_rng(3).normal(
        0, 2.8, 70 * ANALYSIS_RATE_HZ
    )
    estimate = compare(track(music), track(dub), DEFAULT_METHODS)
    assert not estimate.edited
    assert estimate.offset_seconds == pytest.approx(0.0, abs=1e-4)


def test_minutes_are_replaced_in_a_sped_up_dub():
    music = programme(330.0, seed=21)
    at = np.arange(int(316 * ANALYSIS_RATE_HZ)) * 25 / 24
    dub = np.interp(at, np.arange(music.size), music).astype(np.float32)
    replaced = slice(84 * ANALYSIS_RATE_HZ, 272 * ANALYSIS_RATE_HZ)
    dub[replaced] = programme(188.0, seed=22)
    estimate = compare(track(music), track(dub), DEFAULT_METHODS)
    first, second = lines(estimate)
    assert first.offset_seconds == pytest.approx(0.0, abs=1e-4)
    assert second.offset_seconds == pytest.approx(0.0, abs=1e-4)
    assert (first.dub_end, second.dub_start) == pytest.approx((84.0, 272.0), abs=0.04)
    assert second.dub_end == pytest.approx(316.0, abs=1e-3)


def test_noise_alone_is_no_programme():
    noise = RNG.normal(0, 0.1, 40 * ANALYSIS_RATE_HZ)
    assert estimate_of(noise).offset_seconds is None


@pytest.mark.parametrize("after", [0, 35])
def test_a_long_stretch_of_other_sound_takes_little_memory(after):
    other = np.random.default_rng(7).normal(0, 0.1, 900 * ANALYSIS_RATE_HZ).astype(np.float32)
    dub = track(np.concatenate([seconds(0, 35), other, seconds(35, 35 + after)]))
    tracemalloc.start()
    try:
        estimate = compare(MASTER, dub, [Method.MFCC])
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 500e6
    assert [(s.dub_start, s.dub_end) for s in lines(estimate)] == [
        pytest.approx((start, start + 35.0), abs=0.04) for start in (0.0, 935.0)[: len(lines(estimate))]
    ]
    assert len(lines(estimate)) == (2 if after else 1)
