"""The quick depth: parts of a long pair, and an answer that says so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sync_core.analysis.track import ANALYSIS_RATE_HZ, PartsBuilder, TrackBuilder
from sync_core.domain.methods import Depth
from sync_core.domain.result import AnalysisResult, Segment, SegmentKind, Verdict
from sync_core.media.decode import AudioReader
from sync_core.pipeline import quick
from sync_core.pipeline.compare_files import compare_files
from tests.media.writing import Sound, bursts, write
from tests.pipeline.pairs import UNRESTRICTED, ignore, request, write_wav

SECONDS = 780
LATE_SAMPLES = 16_123
LONG = bursts(SECONDS, rate_hz=ANALYSIS_RATE_HZ, seed=3)


def compared(tmp_path: Path, dub: np.ndarray) -> AnalysisResult:
    master = write_wav(tmp_path / "master.wav", LONG, ANALYSIS_RATE_HZ)
    other = write_wav(tmp_path / "dub.wav", dub, ANALYSIS_RATE_HZ)
    return compare_files(request(master, other, depth=Depth.QUICK), policy=UNRESTRICTED, on_progress=ignore)


@pytest.fixture(autouse=True)
def _sampled_from_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "LEAST_SECONDS", 600)
    monkeypatch.setattr(quick, "_MASTER_SPANS", 3)


def test_one_offset_is_found_to_the_sample(tmp_path: Path) -> None:
    result = compared(tmp_path, np.concatenate([np.zeros(LATE_SAMPLES, np.float32), LONG]))
    assert result.verdict is Verdict.OFFSET
    assert result.offset_seconds == pytest.approx(-LATE_SAMPLES / ANALYSIS_RATE_HZ, abs=1e-4)
    assert result.confidence > 0.9
    assert any(note.startswith("The quick depth looked at") for note in result.notes)


def test_another_programme_is_refused_and_the_rest_is_left_to_the_full_depth(tmp_path: Path) -> None:
    result = compared(tmp_path, bursts(SECONDS, rate_hz=ANALYSIS_RATE_HZ, seed=4))
    assert result.verdict is Verdict.NO_MATCH
    assert any("finds other speeds too" in note for note in result.notes)


def test_a_cut_is_seen_where_windows_disagree(tmp_path: Path) -> None:
    cut_at, seconds = 400, 30
    dub = np.concatenate([LONG[: cut_at * ANALYSIS_RATE_HZ], LONG[(cut_at + seconds) * ANALYSIS_RATE_HZ :]])
    result = compared(tmp_path, dub)
    assert result.verdict is Verdict.EDITED
    assert [one.offset_seconds for one in result.segments] == pytest.approx([0.0, seconds], abs=1e-4)
    assert abs(result.segments[0].dub_end - cut_at) < quick.EVERY_SECONDS


def test_short_pairs_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "LEAST_SECONDS", 1_800)
    result = compared(tmp_path, LONG)
    assert result.offset_seconds == 0.0
    assert not any("quick" in note for note in result.notes)


@pytest.mark.parametrize(("name", "codec"), [("a.wav", "pcm_s16le"), ("a.mov", "pcm_s24le"), ("a.m4a", "aac")])
def test_parts_are_what_the_whole_file_holds_there(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, Sound(bursts(20.0), codec=codec))
    with AudioReader(path, name) as reader:
        whole = np.concatenate([block[0] for block in reader.blocks()])
    wanted = [(2, 4), (9, 10), (17, 19)]
    with AudioReader(path, name) as reader:
        assert reader.finds_times
        parts = list(reader.spans(wanted))
    margin = 400  # the resampler's filter meets silence at the edges of a part
    for start, stop in wanted:
        inside = [(at, block) for at, block in parts if start * ANALYSIS_RATE_HZ <= at <= stop * ANALYSIS_RATE_HZ]
        assert inside[0][0] == start * ANALYSIS_RATE_HZ
        part = np.concatenate([block for _, block in inside])
        assert part.size >= (stop - start) * ANALYSIS_RATE_HZ
        there = whole[inside[0][0] : inside[0][0] + part.size]
        assert there[margin:-margin] == pytest.approx(part[margin : there.size - margin], abs=2e-4)


def test_between_the_parts_is_silence() -> None:
    sound = bursts(2.0, rate_hz=ANALYSIS_RATE_HZ)
    total = 200_033
    parts, plain = PartsBuilder(0.5, total), TrackBuilder(0.5)
    expected = np.zeros(total, np.float32)
    for at, block in ((0, sound[:9_000]), (70_001, sound[:20_000]), (90_001, sound[20_000:]), (190_000, sound)):
        parts.put(at, block)
        expected[at : at + block.size] = block[: total - at]
    expected[70_100] = 0.0
    parts.put(70_100, np.array([np.nan], np.float32))
    plain.push(expected)
    track = parts.finish()
    assert np.array_equal(track.samples, expected)
    assert np.array_equal(track.log_mel, plain.finish().log_mel)
    assert (track.start_seconds, track.non_finite_count) == (0.5, 1)
    for start in range(0, total, 2_500):
        assert track.sounds(start, start + 4_096) == expected[start : start + 4_096].any()


def test_gaps_that_nobody_looked_at_are_not_told() -> None:
    def segment(start: float, stop: float, offset: float | None) -> Segment:
        kind = SegmentKind.SILENCE if offset is None else SegmentKind.PROGRAMME
        return Segment(start, stop, offset, None if offset is None else 1.0, 0.9, kind)

    parts = [segment(0, 12, 1.0), segment(12, 120, None), segment(120, 240, 2.0), segment(240, 252, None)]
    told = quick.told(parts, [(0, 12), (120, 132), (240, 252)], 0.0)
    assert [(one.dub_start, one.dub_end, one.offset_seconds) for one in told] == [
        (0, 66.0, 1.0),
        (66.0, 240.0, 2.0),
        (240.0, 252, None),
    ]
    assert told[-1].kind is SegmentKind.OTHER
