"""Damaged files through the whole port: a result or a MediaError, never a crash, a hang or a traceback."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_core.domain.errors import MediaError
from sync_core.domain.result import AnalysisResult
from sync_core.pipeline.analyzer import ProcessAnalyzer
from tests.media.writing import Sound, bursts, write
from tests.pipeline.pairs import UNRESTRICTED, ignore, request

SECONDS = 3.0
CONTAINERS = {
    "a.wav": "pcm_s16le",
    "b.wav": "pcm_f32le",
    "a.m4a": "aac",
    "a.mov": "pcm_s24le",
    "a.mkv": "aac",
    "a.mka": "flac",
    "a.ts": "mp2",
    "a.mp3": "libmp3lame",
    "a.flac": "flac",
    "a.ogg": "libvorbis",
    "a.opus": "libopus",
    "a.aac": "aac",
    "a.ac3": "ac3",
    "a.avi": "pcm_s16le",
    "a.flv": "aac",
    "a.aiff": "pcm_s16be",
    "a.mpg": "mp2",
}
FILMS = {"a.mov", "a.mkv", "a.ts", "a.avi", "a.flv", "a.mpg"}
STALL_SECONDS = 20.0


class Bench:
    """Whole files, and an analyzer with one child to throw damaged ones at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {name: self._make(name, codec) for name, codec in CONTAINERS.items()}
        self.master = str(write(folder / "master.wav", Sound(bursts(SECONDS))))
        self._loop = asyncio.new_event_loop()
        self._analyzer = ProcessAnalyzer(
            policy=UNRESTRICTED, slots=1, stall_seconds=STALL_SECONDS, spool_folder=folder / "spool"
        )

    def _make(self, name: str, codec: str) -> bytes:
        fps = Fraction(25) if name in FILMS else None
        video_codec = {"a.ts": "mpeg2video", "a.mpg": "mpeg2video", "a.flv": "flv"}.get(name, "mpeg4")
        rate_hz = 44_100 if name == "a.flv" else 48_000
        sound = Sound(bursts(SECONDS, rate_hz=rate_hz), codec, rate_hz=rate_hz)
        return write(self.folder / name, sound, fps=fps, video_seconds=SECONDS, video_codec=video_codec).read_bytes()

    def analyze(self, name: str, content: bytes) -> AnalysisResult | MediaError:
        path = self.folder / f"damaged-{name}"
        path.write_bytes(content)
        try:
            return self._loop.run_until_complete(self._analyzer.analyze(request(self.master, str(path)), ignore))
        except MediaError as error:
            return error

    def close(self) -> None:
        self._loop.run_until_complete(self._analyzer.close())
        self._loop.close()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(tmp_path_factory.mktemp("fuzz"))
    yield bench
    bench.close()


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, float, int]]:
    kinds = st.sampled_from(["flip", "zero", "cut", "noise", "drop", "repeat"])
    return draw(st.lists(st.tuples(kinds, st.floats(0.0, 1.0), st.integers(1, 4_000)), min_size=1, max_size=5))


def damage(content: bytes, how: list[tuple[str, float, int]]) -> bytes:
    data = bytearray(content)
    for kind, where, size in how:
        # half of the places lie in the header, where a byte means most
        at = int(where * 2 * 600) if where < 0.5 else int((where - 0.5) * 2 * len(data))
        at = min(at, max(len(data) - 1, 0))
        match kind:
            case "flip":
                data[at : at + 1] = bytes([data[at] ^ (1 << size % 8)]) if data else b""
            case "zero":
                data[at : at + size] = bytes(min(size, len(data) - at))
            case "noise":
                data[at : at + size] = np.random.default_rng(size).bytes(min(size, len(data) - at))
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + size]
            case "repeat":
                data[at:at] = data[at : at + size]
    return bytes(data)


@pytest.mark.timeout(600)
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(sorted(CONTAINERS)), how=damages())
def test_damaged_files(bench: Bench, name: str, how: list[tuple[str, float, int]]) -> None:
    answer = bench.analyze(name, damage(bench.files[name], how))
    assert isinstance(answer, AnalysisResult) or f"damaged-{name}" in answer.message


@pytest.mark.parametrize("name", sorted(CONTAINERS))
def test_the_whole_files_match(bench: Bench, name: str) -> None:
    result = bench.analyze(name, bench.files[name])
    assert isinstance(result, AnalysisResult)
    assert result.offset_seconds == pytest.approx(0.0, abs=0.06)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.binary(max_size=3_000))
def test_any_bytes(bench: Bench, content: bytes) -> None:
    assert isinstance(bench.analyze("x.bin", content), MediaError)
