"""A pair from end to end, in this process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from sync_core.domain.errors import (
    MediaCorrupt,
    MediaNotFound,
    MethodUnavailable,
    OutOfMemory,
    PathNotAllowed,
    StorageUnavailable,
)
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_METHODS, AiModel, Method
from sync_core.domain.result import AnalysisStage, Progress, Verdict
from sync_core.domain.result_document import result_document
from sync_core.pipeline import compare_files as module
from sync_core.pipeline.compare_files import compare_files
from tests.media.writing import RATE_HZ, Sound, bursts, write
from tests.pipeline.pairs import PROGRAMME, compare, late, request, write_wav


@pytest.fixture
def master(tmp_path: Path) -> str:
    return write_wav(tmp_path / "master.wav", PROGRAMME)


def test_a_file_against_itself_is_exactly_zero(master: str, tmp_path: Path) -> None:
    result = compare(master, master)
    assert (result.offset_seconds, result.verdict) == (0.0, Verdict.IN_SYNC)
    assert result.frames is not None
    assert (result.frames.count, result.timecode) == (0.0, "00:00:00:00")
    copy = write_wav(tmp_path / "copy.wav", PROGRAMME)
    assert compare(master, copy).offset_seconds == 0.0


@pytest.mark.parametrize("seconds", [1.25, -0.8])
def test_the_sign_of_the_offset(master: str, tmp_path: Path, seconds: float) -> None:
    dub = write_wav(tmp_path / "dub.wav", late(seconds))
    result = compare(master, dub)
    assert result.offset_seconds == pytest.approx(-seconds, abs=1e-3)
    assert result.verdict is Verdict.OFFSET
    assert result.method_used in {"MFCC", "Onset", "Spectral"}
    assert [one.method for one in result.methods] == list(DEFAULT_METHODS)
    assert compare(dub, master).offset_seconds == pytest.approx(seconds, abs=1e-3)


def test_timestamps_count_and_not_only_samples(tmp_path: Path) -> None:
    fps = Fraction(24_000, 1_001)
    master = write(tmp_path / "m.mov", Sound(PROGRAMME, "pcm_s16le"), fps=fps, video_seconds=12.0)
    dub = write(tmp_path / "d.mov", Sound(PROGRAMME, "pcm_s16le", start_seconds=2.0), fps=fps, video_seconds=12.0)
    result = compare(str(master), str(dub))
    assert result.offset_seconds == pytest.approx(-2.0, abs=1e-3)
    assert result.frames is not None
    assert (result.frames.rate, result.frames.source) == ("24000/1001", "master")
    assert result.frames.count == pytest.approx(-47.95, abs=0.03)
    assert result.timecode == "-00:00:02:00"
    assert result.media["dub"].start_seconds == pytest.approx(2.0, abs=1e-3)


def test_frames_are_the_dubs_where_the_master_has_none(master: str, tmp_path: Path) -> None:
    dub = write(tmp_path / "d.mov", Sound(late(1.0), "pcm_s16le"), fps=Fraction(30_000, 1_001), video_seconds=13.0)
    result = compare(master, str(dub))
    assert result.frames is not None
    assert (result.frames.rate, result.frames.source) == ("30000/1001", "dub")
    assert result.timecode == "-00:00:01;00"


@pytest.mark.parametrize(
    ("late_by", "tolerance", "verdict"), [(0.030, None, "in_sync"), (0.030, 0.02, "offset"), (0.05, None, "offset")]
)
def test_the_tolerance_is_one_frame_unless_told(
    master: str, tmp_path: Path, late_by: float, tolerance: float | None, verdict: str
) -> None:
    dub = write_wav(tmp_path / "dub.wav", late(late_by))
    assert compare(master, dub, tolerance_seconds=tolerance).verdict == verdict


def test_no_match_is_an_answer(master: str, tmp_path: Path) -> None:
    result = compare(master, write_wav(tmp_path / "other.wav", bursts(12.0, seed=9)))
    assert result.verdict is Verdict.NO_MATCH
    assert (result.offset_seconds, result.frames, result.timecode) == (None, None, None)


def test_silence_is_no_match_and_is_said(master: str, tmp_path: Path) -> None:
    result = compare(master, write_wav(tmp_path / "silent.wav", np.zeros(3 * RATE_HZ, np.float32)))
    assert result.verdict is Verdict.NO_MATCH
    assert "The dub is silent throughout." in result.notes


def test_survived_damage_is_said(master: str, tmp_path: Path) -> None:
    dub = tmp_path / "dub.wav"
    write_wav(dub, late(0.5))
    dub.write_bytes(dub.read_bytes()[:-300_000])
    result = compare(master, str(dub))
    assert result.offset_seconds == pytest.approx(-0.5, abs=1e-3)
    assert any(note.startswith("The dub was damaged, but could be read: the file ends after") for note in result.notes)
    assert result.media["dub"].warnings


def test_an_unavailable_method_does_not_stop_the_others(master: str) -> None:
    result = compare(master, master, methods=(Method.AI, Method.MFCC), ai_model=AiModel.YAMNET)
    ai, mfcc = result.methods
    assert (ai.method, ai.label, ai.ok, ai.offset_seconds) == (Method.AI, "AI (YAMNet)", False, None)
    assert mfcc.ok
    assert ai.error in result.notes
    assert ai.error.startswith("AI (YAMNet) is not installed in ")
    assert "sync-analyzer models pull yamnet" in ai.error


def test_only_an_unavailable_method_is_refused_before_any_file_is_read() -> None:
    with pytest.raises(MethodUnavailable, match=r"AI \(Wav2Vec2\) is not installed in .* Or ask for mfcc"):
        compare("/absent/m.wav", "/absent/d.wav", methods=(Method.AI,))
    with pytest.raises(MethodUnavailable, match="no method was given"):
        compare("/absent/m.wav", "/absent/d.wav", methods=())


def test_streams_and_channels_can_be_chosen(master: str, tmp_path: Path) -> None:
    dub = tmp_path / "dub.wav"
    write_wav(dub, np.stack([bursts(13.0, seed=5), late(1.0)], 1))
    assert compare(master, f"{dub}#ch:1").offset_seconds == pytest.approx(-1.0, abs=1e-3)
    assert compare(master, f"{dub}#ch:0").verdict is Verdict.NO_MATCH
    film = write(tmp_path / "dub.mkv", Sound(bursts(12.0, seed=6), "flac"), Sound(late(1.0), "flac"))
    result = compare(master, f"{film}#a:1")
    assert result.offset_seconds == pytest.approx(-1.0, abs=1e-3)
    assert result.media["dub"].path == f"{film}#a:1"


def test_a_slipped_channel_is_found(master: str, tmp_path: Path) -> None:
    dub = tmp_path / "dub.wav"
    length = PROGRAMME.size
    write_wav(dub, np.stack([PROGRAMME, PROGRAMME, late(0.2)[:length], PROGRAMME], 1))
    result = compare(master, str(dub), per_channel=True)
    assert [one.channel.split()[0] for one in result.channel_offsets] == ["ch:0", "ch:1", "ch:2", "ch:3"]
    assert [one.offset_seconds for one in result.channel_offsets] == pytest.approx([0.0, 0.0, -0.2, 0.0], abs=1e-3)
    (note,) = [note for note in result.notes if "from the mix" in note]
    assert note.startswith("Channel ch:2")


def test_progress_never_goes_back(master: str, tmp_path: Path) -> None:
    told: list[Progress] = []
    compare(master, write_wav(tmp_path / "dub.wav", late(1.0)), on_progress=told.append)
    fractions = [one.fraction for one in told]
    assert fractions == sorted(fractions)
    assert 0.0 <= fractions[0] <= fractions[-1] == 1.0
    assert {one.stage for one in told} >= {AnalysisStage.DECODING, AnalysisStage.COMPARING}


def test_raising_from_progress_cancels_and_leaves_nothing(master: str, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise Enough

    spool = tmp_path / "spool"
    spool.mkdir()
    with pytest.raises(Enough):
        compare(master, master, on_progress=stop, spool_folder=spool)
    assert list(spool.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_the_spool_is_emptied(master: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    compare(master, master, spool_folder=spool)
    bad = tmp_path / "bad.mov"
    bad.write_bytes(b"\0\0\0\x14ftypqt  ")
    with pytest.raises(MediaCorrupt):
        compare(master, str(bad), spool_folder=spool)
    assert list(spool.iterdir()) == []


def test_the_first_failure_ends_the_other_file_too(tmp_path: Path, master: str) -> None:
    with pytest.raises(MediaNotFound, match=r"absent\.wav"):
        compare(master, str(tmp_path / "absent.wav"))
    short = write_wav(tmp_path / "short.wav", PROGRAMME[:100])
    with pytest.raises(Exception, match=r"short\.wav"):
        compare(short, master)


def test_the_policy_binds(master: str, tmp_path: Path) -> None:
    policy = MediaPolicy(roots=(str(tmp_path),))
    compare_files(request(master, master), policy=policy, on_progress=lambda _progress: None)
    with pytest.raises(PathNotAllowed):
        compare_files(request(master, "/etc/hostname"), policy=policy, on_progress=lambda _progress: None)


def test_no_room_for_decoded_audio(master: str, tmp_path: Path) -> None:
    with pytest.raises(StorageUnavailable, match="decoded audio could not be kept in"):
        compare(master, master, spool_folder=tmp_path / "absent")


def test_no_memory(master: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(module, "compare", exhausted)
    with pytest.raises(OutOfMemory, match=r"not enough memory to compare .*master\.wav"):
        compare(master, master)


def test_the_document_is_json(master: str, tmp_path: Path) -> None:
    for dub in (master, write_wav(tmp_path / "silent.wav", np.zeros(2 * RATE_HZ, np.float32))):
        text = json.dumps(result_document(compare(master, dub)), allow_nan=False)
        assert json.loads(text)["media"]["master"]["sample_rate_hz"] == RATE_HZ


def test_the_parents_side_needs_no_numpy() -> None:
    check = "import sys, sync_core.pipeline.analyzer; sys.exit(bool({'numpy', 'scipy', 'av'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False, env={**os.environ}).returncode == 0
