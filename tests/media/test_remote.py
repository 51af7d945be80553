"""Files over HTTP give the samples that they give here, whatever their container and whatever the network does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_core.media import connection
from sync_core.media.interrupted import Interrupted
from sync_core.media.ranges import ByteRange, merged
from sync_core.media.remote_file import FIRST_BYTES, FetchPlan, RemoteFile
from tests.fakes.movies import Movie, write_movie
from tests.fakes.range_server import Fault, RangeServer, at_random
from tests.fakes.remote import decoded, remote_file
from tests.media.writing import Sound, bursts, write

FPS = Fraction(25)
SURVIVED = (Fault.ERROR_500, Fault.SLOW_DOWN, Fault.TOO_MANY, Fault.CUT, Fault.CUT_AT_ONCE, Fault.PART, Fault.SHIFTED)
MOVIES = {
    "interleave of half a second.mov": Movie(6, picture_lines=120),
    "moov in front.mov": Movie(6, picture_lines=120, moov_in_front=True),
    "frame by frame.mov": Movie(6, picture_lines=120, chunk_seconds=0),
    "pictures first.mov": Movie(6, picture_lines=120, chunk_seconds=30),
    "aac.mov": Movie(6, picture_lines=120, codec="aac"),
}
WRITTEN = {
    "pictures.mov": (Sound(bursts(4.0)), {}),
    "fast start.mp4": (Sound(bursts(4.0), "aac"), {"movflags": "faststart"}),
    "fragments.mp4": (Sound(bursts(4.0), "aac"), {"movflags": "frag_keyframe+empty_moov"}),
    "late sound.mov": (Sound(bursts(4.0), start_seconds=1.5), {}),
    "pictures.mkv": (Sound(bursts(4.0), "flac"), {}),
    "pictures.ts": (Sound(bursts(4.0), "mp2"), {}),
    "pictures.mxf": (Sound(bursts(4.0)), {}),
}
SOUNDS = {"sound.wav": "pcm_s16le", "sound.mp3": "libmp3lame", "sound.flac": "flac", "sound.ogg": "libvorbis"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write one file of each kind."""
    folder = tmp_path_factory.mktemp("media")
    for name, movie in MOVIES.items():
        write_movie(folder / name, movie)
    for name, (sound, options) in WRITTEN.items():
        codec = "mpeg2video" if name.endswith((".mxf", ".ts")) else "mpeg4"
        write(folder / name, sound, fps=FPS, video_seconds=4.0, video_codec=codec, container_options=options)
    for name, codec in SOUNDS.items():
        write(folder / name, Sound(bursts(4.0), codec))
    return folder


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with RangeServer() as running:
        yield running


NAMES = [*MOVIES, *WRITTEN, *SOUNDS]


@pytest.mark.parametrize("name", NAMES)
def test_the_samples_are_those_of_the_local_file(folder: Path, server: RangeServer, name: str) -> None:
    here, said_here = decoded(folder / name)
    there, said_there = decoded(remote_file(server.serve(folder / name)))
    assert here.shape[1] > 3 * 16_000
    np.testing.assert_array_equal(there, here)
    assert said_there == said_here


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_samples_are_the_same_through_faults(folder: Path, server: RangeServer, name: str, seed: int) -> None:
    server.fault = at_random(0.3, *SURVIVED, seed=seed)
    here, _ = decoded(folder / name)
    there, _ = decoded(remote_file(server.serve(folder / name)))
    np.testing.assert_array_equal(there, here)


@pytest.mark.parametrize("name", ["interleave of half a second.mov", "moov in front.mov"])
def test_of_a_movie_little_more_than_the_sound_is_fetched(tmp_path: Path, server: RangeServer, name: str) -> None:
    movie = Movie(60, picture_lines=240, moov_in_front="front" in name)
    file = remote_file(server.serve(write_movie(tmp_path / name, movie)))
    decoded(file)
    assert file.fetched.bytes == server.body_bytes
    assert file.fetched.requests == len(server.requests)
    assert movie.audio_bytes < server.body_bytes < 1.01 * movie.audio_bytes + 2 * FIRST_BYTES
    assert file.size_bytes > 15 * server.body_bytes


def test_only_the_chosen_stream_is_fetched(tmp_path: Path, server: RangeServer) -> None:
    sounds = [Sound(bursts(20.0, seed=seed)) for seed in range(4)]
    path = write(tmp_path / "four.mov", *sounds, container_options={"chunk_duration": "500000"})
    file = remote_file(server.serve(path))
    there, info = decoded(file, stream=2)
    np.testing.assert_array_equal(there, decoded(path, stream=2)[0])
    assert info.stream_index == 2
    assert server.body_bytes < 0.4 * path.stat().st_size


def test_a_file_that_is_read_as_a_whole_is_read_once(folder: Path, server: RangeServer) -> None:
    path = folder / "sound.wav"
    decoded(remote_file(server.serve(path)))
    assert path.stat().st_size <= server.body_bytes <= 1.2 * path.stat().st_size


def test_what_was_fetched_is_told_with_the_result(folder: Path, server: RangeServer) -> None:
    from sync_core.media.decode import AudioReader

    file = remote_file(server.serve(folder / "sound.wav"))
    with AudioReader(file, "s3://studio/sound.wav") as reader:
        for _ in reader.blocks():
            pass
    fetched = reader.info.fetched
    assert fetched is not None
    assert (fetched.requests, fetched.bytes) == (len(server.requests), server.body_bytes)
    assert (fetched.size_bytes, fetched.etag) == ((folder / "sound.wav").stat().st_size, '"v1"')


def test_who_does_not_wait_any_more_is_not_kept_by_a_server_that_hangs(folder: Path, server: RangeServer) -> None:
    server.fault = lambda _request: Fault.HANG
    over = threading.Event()
    threading.Timer(0.2, over.set).start()
    began_at = time.monotonic()
    with pytest.raises(Interrupted):
        remote_file(server.serve(folder / "sound.wav"), is_over=over.is_set)
    assert time.monotonic() - began_at < connection.READ_SECONDS / 2


SIZE = 900_000
jumps = st.lists(st.tuples(st.integers(0, SIZE + 10), st.integers(0, 200_000), st.integers(1, 4)), max_size=20)
stretches = st.lists(st.tuples(st.integers(0, SIZE), st.integers(1, 200_000)), max_size=6)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, str]]:
    """Serve bytes without any zero among them."""
    content = np.random.default_rng(1).integers(1, 256, SIZE, np.uint8).tobytes()
    path = tmp_path_factory.mktemp("numbers") / "numbers"
    path.write_bytes(content)
    with RangeServer() as server:
        yield content, server.serve(path)


@given(jumps)
@settings(max_examples=40)
def test_a_remote_file_reads_like_a_local_one(numbers: tuple[bytes, str], moves: list[tuple[int, int, int]]) -> None:
    content, url = numbers
    file = remote_file(url)
    for position, count, times in moves:
        file.seek(position)
        for number in range(times):
            begin = position + number * count
            assert _read(file, count) == content[begin : begin + count]
    file.close()


@given(jumps, stretches, stretches)
@settings(max_examples=40)
def test_by_a_plan_only_what_need_not_be_read_may_be_zeros(
    numbers: tuple[bytes, str],
    moves: list[tuple[int, int, int]],
    wanted: list[tuple[int, int]],
    unread: list[tuple[int, int]],
) -> None:
    content, url = numbers
    plan = FetchPlan(_ranges(wanted), _ranges(unread))
    may_be_zero = np.zeros(SIZE, bool)
    for one in plan.unread:
        may_be_zero[one.start : one.stop] = True
    for one in plan.wanted:
        may_be_zero[one.start : one.stop] = False
    file = remote_file(url)
    file.follow(plan)
    for position, count, _ in moves:
        file.seek(position)
        given = np.frombuffer(_read(file, count), np.uint8)
        assert may_be_zero[position + len(given) : position + count].all(), "cut short where it was wanted"
        expected = np.frombuffer(content[position : position + len(given)], np.uint8)
        differs = given != expected
        assert not given[differs].any()
        assert may_be_zero[position : position + len(given)][differs].all()
    file.close()


def _ranges(pairs: list[tuple[int, int]]) -> tuple[ByteRange, ...]:
    return tuple(merged(ByteRange(start, min(start + size, SIZE)) for start, size in pairs))


def _read(file: RemoteFile, count: int) -> bytes:
    """Read like a demuxer, which goes on where less was given than it asked for."""
    parts = b""
    while len(parts) < count and (part := file.read(count - len(parts))):
        parts += part
    return parts
