"""Damaged and odd files: what is left of them lies where it belongs, and what was lost is told."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf

from sync_core.domain.errors import MediaCorrupt, MediaError, TooShort
from sync_core.domain.result import MediaInfo
from sync_core.media.damage import Damage
from sync_core.media.decode import AudioReader
from sync_core.media.gather import Gatherer
from tests.media.writing import RATE_HZ, Sound, bursts, joined, lateness_seconds, write

SOURCE = bursts(12.0)


def read(path: Path) -> tuple[np.ndarray, MediaInfo]:
    with AudioReader(path, path.name) as reader:
        decoded = joined(reader.blocks())[0]
        return decoded, reader.info


def cut_off(path: Path, keep: float) -> Path:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.wav", "pcm_s16le"), ("a.flac", "flac"), ("a.mka", "aac")],
)
def test_a_cut_off_file_gives_what_is_there_and_a_warning(tmp_path: Path, name: str, codec: str) -> None:
    path = cut_off(write(tmp_path / name, Sound(SOURCE, codec)), 0.6)
    decoded, info = read(path)
    assert 5.0 < info.duration_seconds < 9.0
    assert info.duration_seconds == pytest.approx(len(decoded) / 16_000)
    assert any("the file ends after" in warning for warning in info.warnings)
    assert lateness_seconds(decoded, SOURCE) == pytest.approx(1024 / RATE_HZ if codec == "aac" else 0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.ts", "aac"), ("a.mp3", "libmp3lame"), ("a.aac", "aac"), ("a.ogg", "libvorbis"), ("a.ac3", "ac3")],
)
def test_a_cut_off_stream_gives_what_is_there(tmp_path: Path, name: str, codec: str) -> None:
    decoded, info = read(cut_off(write(tmp_path / name, Sound(SOURCE, codec)), 0.6))
    assert 4.0 < info.duration_seconds < 10.0
    assert abs(lateness_seconds(decoded, SOURCE)) < 0.025


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "aac"), ("a.mkv", "aac"), ("a.mkv", "ac3"), ("a.m4a", "aac")])
def test_what_follows_a_hole_stays_in_place(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, Sound(SOURCE, codec))
    whole, _ = read(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4_000] = bytes(4_000)
    path.write_bytes(content)
    decoded, info = read(path)
    assert info.warnings
    assert len(decoded) == pytest.approx(len(whole), abs=32)
    tail = slice(round(10.5 * 16_000), len(decoded))
    assert np.corrcoef(decoded[tail][: len(whole[tail])], whole[tail][: len(decoded[tail])])[0, 1] > 0.99


@pytest.mark.parametrize(("first_starts", "second_starts"), [(0.0, 0.0), (40.0, 0.0), (0.0, 20_000.0), (3_600.0, 0.0)])
def test_timestamps_that_jump_or_go_back_within_a_file(
    tmp_path: Path, first_starts: float, second_starts: float
) -> None:
    half = 6 * RATE_HZ
    parts = [
        write(tmp_path / "1.ts", Sound(SOURCE[:half], "mp2", start_seconds=first_starts)),
        write(tmp_path / "2.ts", Sound(SOURCE[half:], "mp2", start_seconds=second_starts)),
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    decoded, info = read(path)
    assert any("the timestamps jump" in warning for warning in info.warnings)
    assert info.duration_seconds == pytest.approx(12.0, abs=0.01)
    tail = 5 * 16_000
    assert lateness_seconds(decoded[:tail], SOURCE[: 5 * RATE_HZ]) == pytest.approx(481 / RATE_HZ, abs=1e-4)
    assert lateness_seconds(decoded[-tail:], SOURCE[-5 * RATE_HZ :]) == pytest.approx(481 / RATE_HZ, abs=1e-4)


def test_samples_that_are_no_numbers_become_silence(tmp_path: Path) -> None:
    samples = np.stack([SOURCE, SOURCE], 1)
    samples[1_000:1_010] = np.nan
    samples[2_000] = np.inf
    samples[3_000] = -3e38
    path = tmp_path / "a.wav"
    sf.write(path, samples, RATE_HZ, subtype="FLOAT")
    decoded, info = read(path)
    assert np.isfinite(decoded).all()
    assert np.abs(decoded).max() < 2.0
    assert info.warnings == ("24 samples were no numbers and were taken as silence",)
    assert lateness_seconds(decoded, SOURCE) == pytest.approx(0.0, abs=1e-4)


def test_doubles_beyond_floats(tmp_path: Path) -> None:
    samples = SOURCE.astype(np.float64)
    samples[5_000] = 1e300
    path = tmp_path / "a.wav"
    sf.write(path, samples, RATE_HZ, subtype="DOUBLE")
    assert np.abs(read(path)[0]).max() < 2.0


def test_denormals_and_integer_scaled_floats(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.full(3 * RATE_HZ, 1e-42, np.float32), RATE_HZ, subtype="FLOAT")
    assert np.abs(read(path)[0]).max() < 1e-30
    sf.write(path, SOURCE * 32_768, RATE_HZ, subtype="FLOAT")
    assert np.abs(read(path)[0]).max() > 1_000


@pytest.mark.parametrize("seconds", [0.01, 0.5, 1.4])
def test_too_short(tmp_path: Path, seconds: float) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, SOURCE[: int(seconds * RATE_HZ)], RATE_HZ)
    with pytest.raises(TooShort, match=rf"a\.wav holds {seconds:.2f} s of audio; at least 1.5 s are needed"):
        read(path)


def test_no_samples_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, SOURCE[:0], RATE_HZ)
    with pytest.raises(TooShort, match="empty"):
        read(path)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_a_file_cut_off_within_a_sample_loses_only_that(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([SOURCE, SOURCE], axis=1), RATE_HZ, subtype=subtype)
    whole, _ = read(path)
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[: size // 2 + 1 - (size // 2) % 2])
    decoded, info = read(path)
    data_bytes = path.stat().st_size - (size - 2 * SOURCE.size * {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}[subtype])
    seconds = data_bytes // ({"PCM_16": 4, "PCM_24": 6, "FLOAT": 8}[subtype]) / RATE_HZ
    assert info.duration_seconds == pytest.approx(seconds, abs=2e-4)
    np.testing.assert_allclose(decoded[: decoded.size - 200], whole[: decoded.size - 200], atol=1e-6)


def test_damage_that_leaves_nothing_comparable(tmp_path: Path) -> None:
    with pytest.raises(MediaCorrupt, match=r"a\.wav is damaged .*: only 0\.\d\d s of it could be read"):
        read(cut_off(write(tmp_path / "a.wav", Sound(SOURCE)), 0.05))
    path = write(tmp_path / "a.mka", Sound(SOURCE, "aac"))
    content = bytearray(path.read_bytes())
    content[2_000:] = np.random.default_rng(0).bytes(len(content) - 2_000)
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.mka"):
        read(path)


def test_silence_decodes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.zeros((2 * RATE_HZ, 2)), RATE_HZ)
    decoded, info = read(path)
    assert not decoded.any()
    assert info.warnings == ()


@pytest.mark.parametrize(
    ("name", "codec"), [("a.aac", "aac"), ("a.mp3", "libmp3lame"), ("a.m4a", "aac"), ("a.mka", "flac")]
)
def test_undecodable_packets_become_silence_of_their_length(tmp_path: Path, name: str, codec: str) -> None:
    path = write(tmp_path / name, Sound(SOURCE, codec))
    whole, _ = read(path)
    with AudioReader(path, name) as reader:
        packets = [(one.pos, one.size) for one in reader._container.demux(reader._stream) if one.size]
    content = bytearray(path.read_bytes())
    for position, size in packets[20:30]:
        content[position + 8 : position + size] = b"\xff" * (size - 8)
    path.write_bytes(content)
    decoded, _ = read(path)
    assert len(decoded) == pytest.approx(len(whole), abs=32)


def test_a_first_packet_that_is_lost_does_not_move_the_rest(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mka", Sound(SOURCE, "flac"))
    with AudioReader(path, "a.mka") as reader:
        first = next(iter(reader._container.demux(reader._stream)))
        assert reader.start_seconds == 0.0
    content = bytearray(path.read_bytes())
    at = content.index(bytes(first)[:32]) if len(bytes(first)) > 32 else 0
    content[at : at + 64] = bytes(64)
    path.write_bytes(content)
    with AudioReader(path, "a.mka") as reader:
        decoded = joined(reader.blocks())[0]
        assert reader.start_seconds + lateness_seconds(decoded, SOURCE) == pytest.approx(0.0, abs=1e-3)


@pytest.mark.parametrize("skipped", [1, 500, 1_023, 1_024, 2_000])
def test_a_frame_that_is_partly_there_already(skipped: int) -> None:
    frame = av.AudioFrame.from_ndarray(np.ones((2, 1_024), np.float32), "fltp", "stereo")
    frame.sample_rate = RATE_HZ
    gatherer = Gatherer(Damage())
    blocks = [*gatherer.push(frame, skipped), *gatherer.flush()]
    assert [block.samples.shape for block in blocks] == [(2, 1_024 - skipped)] * (skipped < 1_024)


def test_a_rate_that_changes_on_the_way(tmp_path: Path) -> None:
    first = write(tmp_path / "1.aac", Sound(SOURCE, "aac")).read_bytes()
    slow = bursts(6.0, rate_hz=32_000)
    second = write(tmp_path / "2.aac", Sound(slow, "aac", rate_hz=32_000)).read_bytes()
    path = tmp_path / "both.aac"
    path.write_bytes(first + second)
    decoded, _ = read(path)
    assert len(decoded) / 16_000 == pytest.approx(18.0, abs=0.2)
