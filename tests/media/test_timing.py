"""Where decoded audio lies on its file's time axis, for the containers and codecs that studios send."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from sync_core.media.decode import AudioReader
from tests.media.writing import RATE_HZ, Sound, bursts, joined, lateness_seconds, write

SOURCE = bursts()
FPS = Fraction(25)


def lateness(path: Path) -> float:
    """Seconds by which the audio is later than in the source, counted from the file's time zero."""
    with AudioReader(path, path.name) as reader:
        decoded = joined(reader.blocks())[0]
        return reader.start_seconds + lateness_seconds(decoded, SOURCE)


@pytest.mark.parametrize(
    ("name", "codec", "late_samples"),
    [
        ("a.wav", "pcm_s16le", 0),
        ("a.wav", "pcm_s24le", 0),
        ("a.wav", "pcm_f32le", 0),
        ("a.wav", "pcm_f64le", 0),
        ("a.wav", "pcm_s64le", 0),
        ("a.wav", "pcm_u8", 0),
        ("a.w64", "pcm_s32le", 0),
        ("a.aiff", "pcm_s16be", 0),
        ("a.caf", "pcm_s16le", 0),
        ("a.flac", "flac", 0),
        ("a.m4a", "aac", 0),
        ("a.m4a", "alac", 0),
        ("a.mp3", "libmp3lame", 0),
        ("a.opus", "libopus", 0),
        ("a.ogg", "libvorbis", 0),
        ("a.mka", "libopus", 0),
        # what the container does not say is not taken off: as every player shows it
        ("a.aac", "aac", 1024),
        ("a.mka", "aac", 1024),
        ("a.ts", "aac", 1024),
        ("a.ac3", "ac3", 256),
        ("a.mp2", "mp2", 481),
    ],
)
def test_audio_only_starts_at_its_first_decoded_sample(
    tmp_path: Path, name: str, codec: str, late_samples: int
) -> None:
    path = write(tmp_path / name, Sound(SOURCE, codec))
    assert lateness(path) == pytest.approx(late_samples / RATE_HZ, abs=5e-5)


@pytest.mark.parametrize(
    ("name", "codec", "tolerance"),
    [
        ("a.mp4", "aac", 5e-5),
        ("a.mp4", "ac3", 5e-5),
        ("a.mp4", "eac3", 5e-5),
        ("a.mov", "pcm_s24le", 5e-5),
        ("a.ts", "aac", 5e-5),
        ("a.ts", "mp2", 5e-5),
        ("a.mkv", "pcm_s16le", 1e-3),
        ("a.mkv", "aac", 1e-3),
        ("a.mkv", "flac", 1e-3),
        ("a.avi", "pcm_s16le", 5e-5),
        ("a.mxf", "pcm_s16le", 5e-5),
    ],
)
@pytest.mark.parametrize("start", [0.0, 1.5])
def test_audio_is_placed_against_the_video(
    tmp_path: Path, name: str, codec: str, tolerance: float, start: float
) -> None:
    if name.endswith((".avi", ".mxf")) and start:
        pytest.skip("this container has no timestamps for a late start")
    video_codec = "mpeg2video" if name.endswith(".mxf") else "mpeg4"
    path = write(tmp_path / name, Sound(SOURCE, codec, start_seconds=start), fps=FPS, video_codec=video_codec)
    assert lateness(path) == pytest.approx(start, abs=max(tolerance, 1e-3 if start else 0.0))


def test_an_edit_list_that_trims_the_beginning_is_honoured(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mov", Sound(SOURCE, "aac", start_seconds=-0.5), fps=FPS)
    assert lateness(path) == pytest.approx(-0.5, abs=1e-3)


def test_video_that_starts_late_is_time_zero_all_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mkv", Sound(SOURCE, "pcm_s16le"), fps=FPS, video_start=2.0)
    with AudioReader(path, path.name) as reader:
        assert reader.start_seconds == pytest.approx(-2.0, abs=1e-3)
    assert lateness(path) == pytest.approx(-2.0, abs=1e-3)


def test_a_cover_picture_is_no_video(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", Sound(SOURCE, "libmp3lame"))
    with AudioReader(path, path.name) as reader:
        assert reader.start_seconds == 0.0
        assert reader.info.frame_rate is None


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 88_200, 96_000, 192_000])
def test_sample_rates(tmp_path: Path, rate_hz: int) -> None:
    source = bursts(rate_hz=rate_hz)
    path = tmp_path / "a.wav"
    sf.write(path, source, rate_hz, subtype="PCM_16")
    with AudioReader(path, path.name) as reader:
        decoded = joined(reader.blocks())[0]
    assert lateness_seconds(decoded, source, rate_hz) == pytest.approx(0.0, abs=5e-5)
    assert len(decoded) == pytest.approx(6.0 * 16_000, abs=20)


@pytest.mark.parametrize(
    "subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM"]
)
def test_sample_formats_have_the_same_level(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([SOURCE, SOURCE], 1), RATE_HZ, subtype=subtype)
    with AudioReader(path, path.name) as reader:
        decoded = joined(reader.blocks())[0]
    assert np.std(decoded) == pytest.approx(np.std(SOURCE), rel=0.05)
    assert lateness_seconds(decoded, SOURCE) == pytest.approx(0.0, abs=5e-5)


@pytest.mark.parametrize("container", ["RF64", "W64", "WAVEX"])
def test_long_wave_containers(tmp_path: Path, container: str) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, SOURCE, RATE_HZ, subtype="PCM_24", format=container)
    assert lateness(path) == pytest.approx(0.0, abs=5e-5)


def test_broadcast_wave_with_a_bext_chunk(tmp_path: Path) -> None:
    plain = tmp_path / "plain.wav"
    sf.write(plain, SOURCE, RATE_HZ, subtype="PCM_16")
    body = plain.read_bytes()
    bext = b"bext" + (602).to_bytes(4, "little") + b"Reel 1".ljust(602, b"\0")
    path = tmp_path / "bwf.wav"
    path.write_bytes(body[:12] + bext + body[12:])
    assert lateness(path) == pytest.approx(0.0, abs=5e-5)
