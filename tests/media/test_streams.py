"""What a file is said to hold, and which audio stream is taken."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from av.stream import Disposition

from sync_core.domain.errors import NoAudio, TooShort
from sync_core.media.decode import AudioReader
from tests.media.writing import Sound, bursts, write

SOURCE = bursts(3.0)


def chosen(path: Path, stream: int | None = None) -> int:
    with AudioReader(path, path.name, stream=stream) as reader:
        return reader.info.stream_index


@pytest.mark.parametrize(
    "commentary",
    [
        {"disposition": Disposition.comment},
        {"disposition": Disposition.visual_impaired},
        {"metadata": {"title": "Director's Commentary"}},
        {"metadata": {"title": "Audio Description (English)"}},
    ],
)
def test_commentary_is_passed_over_unless_it_is_asked_for(tmp_path: Path, commentary: dict[str, object]) -> None:
    path = write(tmp_path / "a.mkv", Sound(SOURCE, "aac", **commentary), Sound(SOURCE, "aac"))
    assert chosen(path) == 1
    assert chosen(path, 0) == 0


def test_commentary_is_better_than_nothing(tmp_path: Path) -> None:
    assert chosen(write(tmp_path / "a.mkv", Sound(SOURCE, "aac", disposition=Disposition.comment))) == 0


def test_streams_are_described(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.mkv",
        Sound(SOURCE, "aac", metadata={"language": "eng", "title": "Main"}),
        Sound(SOURCE[None, :], "pcm_s16le", layout="mono", metadata={"language": "deu"}),
    )
    with AudioReader(path, "programme.mkv") as reader:
        info = reader.info
    assert info.path == "programme.mkv"
    assert info.container == "matroska,webm"
    described = [(one.index, one.codec, one.channels, one.language, one.title) for one in info.streams]
    assert described == [(0, "aac", 2, "eng", "Main"), (1, "pcm_s16le", 1, "deu", None)]
    assert (info.stream_index, info.channel, info.channels, info.sample_rate_hz) == (0, "mix", 2, 48_000)


def test_a_file_without_sound(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", fps=Fraction(25))
    with pytest.raises(NoAudio, match=r"a\.mp4 has no audio stream; name a file with sound"):
        AudioReader(path, "a.mp4")


def test_a_stream_that_is_not_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.m4a", Sound(SOURCE, "aac"))
    with pytest.raises(NoAudio, match="no audio stream 3: it has 1, counted from 0"):
        AudioReader(path, "a.m4a", stream=3)


@pytest.mark.parametrize("name", ["a.mov", "a.mkv", "a.mp4", "a.ts"])
@pytest.mark.parametrize("rate", ["24000/1001", "24", "25", "30000/1001", "60000/1001"])
def test_frame_rates_are_exact(tmp_path: Path, name: str, rate: str) -> None:
    codec = "mpeg2video" if name == "a.ts" else "mpeg4"
    if codec == "mpeg2video" and rate == "60000/1001":
        codec = "libx264"
    path = write(tmp_path / name, Sound(SOURCE, "aac"), fps=Fraction(rate), video_seconds=3.0, video_codec=codec)
    with AudioReader(path, name) as reader:
        assert reader.info.frame_rate == rate


def test_a_variable_frame_rate_gives_a_rate_and_the_right_time_zero(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Sound(SOURCE, "flac"), fps=Fraction(25), video_seconds=3.0, keep_every=(1, 3, 2))
    with AudioReader(path, "a.mkv") as reader:
        assert reader.info.frame_rate is None or 1 <= Fraction(reader.info.frame_rate) <= 300
        assert reader.start_seconds == pytest.approx(0.0, abs=1e-3)


def test_a_stream_without_a_single_packet(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Sound(SOURCE[:0], "flac"), Sound(SOURCE, "flac"))
    with pytest.raises(TooShort, match=r"audio stream of a\.mkv is empty .*#a:1"):
        AudioReader(path, "a.mkv")
    assert chosen(path, 1) == 1


def test_the_start_timecode_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mov", Sound(SOURCE, "pcm_s16le"), fps=Fraction(25), metadata={"timecode": "01:00:00:00"})
    with AudioReader(path, "a.mov") as reader:
        assert reader.info.start_timecode == "01:00:00:00"
