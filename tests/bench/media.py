"""Reading a large movie over HTTP: what is fetched, how fast, and with how much memory."""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.report import Figure, Section, at_most, spread
from tests.fakes.movies import Movie, write_movie

SECONDS = 600
ROUNDS = 5
LATENCY_SECONDS = 0.03
FAULT_RATE = 0.05
MOVIES = {"moov at the end": Movie(SECONDS), "moov in front": Movie(SECONDS, moov_in_front=True)}
FRAMES = Movie(120, chunk_seconds=0)
_HOW = (
    f"A MOV of {SECONDS // 60} minutes and 5.4 GB with 24-bit stereo beside uncompressed pictures, interleaved every "
    f"0.5 s, on a server of its own process that answers ranges, {1000 * LATENCY_SECONDS:.0f} ms late. Each read is a "
    f"process of its own and decodes to 16 kHz; the local file is in the page cache, but for the first read. The "
    f"server works on the same cores, as S3 would not. Times are medians of {ROUNDS} reads in turns."
)


@dataclass(frozen=True, slots=True)
class Read:
    """What one read took."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    samples: str
    requests: int
    bytes: int


def measure() -> Section:
    """Write the movies, and read each of them here and there in turns."""
    with TemporaryDirectory(prefix="sync-bench-media-") as name:
        figures = [figure for what, movie in MOVIES.items() for figure in _of_movie(what, movie, Path(name))]
        figures += _of_frames(Path(name))
    return Section("Media over HTTP", _HOW, tuple(figures))


def _of_movie(what: str, movie: Movie, folder: Path) -> Iterator[Figure]:
    path = write_movie(folder / "movie.mov", movie)
    with _serving(folder) as url:
        rounds = [(_read(str(path)), _read(f"{url}/movie.mov")) for _ in range(ROUNDS)]
    with _serving(folder, fault_rate=FAULT_RATE) as url:
        faulty = _read(f"{url}/movie.mov")
    here, there = [one[0] for one in rounds], [one[1] for one in rounds]
    size, read = path.stat().st_size, there[0]
    ratio = statistics.median(one.seconds for one in there) / statistics.median(one.seconds for one in here)
    told = f" ({read.bytes / 1e6:.1f} MB of {size / 1e6:.0f}, in {read.requests} requests)"
    yield at_most(f"{what}: bytes beyond the audio's", 100 * (read.bytes / movie.audio_bytes - 1), 2, "%", detail=told)
    yield at_most(f"{what}: time against the local read", ratio, 1.2, "times")
    yield Figure(f"{what}: local", spread([one.seconds for one in here], "s"))
    yield Figure(f"{what}: over HTTP", spread([one.seconds for one in there], "s"))
    more = max(one.peak_bytes for one in there) - min(one.peak_bytes for one in here)
    yield at_most(f"{what}: memory beyond the local read's", more / 1e6, 64, "MB")
    yield _same(f"{what}: samples", {read.samples, here[0].samples})
    yield _same(
        f"{what}: samples with {100 * FAULT_RATE:.0f} % of the requests failing or cut",
        {faulty.samples, here[0].samples},
        f" ({faulty.requests - read.requests} requests more, {faulty.seconds:.2f} s)",
    )
    path.unlink()


def _of_frames(folder: Path) -> Iterator[Figure]:
    """Read a movie whose streams alternate with every picture, where single requests are worth little."""
    path = write_movie(folder / "frames.mov", FRAMES)
    with _serving(folder) as url:
        read = _read(f"{url}/frames.mov")
    size = path.stat().st_size
    told = f"{read.seconds:.2f} s, {read.bytes / 1e6:.1f} MB of {size / 1e6:.0f} in {read.requests} requests"
    yield Figure(f"interleaved with every picture, {FRAMES.seconds // 60} minutes", told)
    path.unlink()


def _same(what: str, samples: set[str], detail: str = "") -> Figure:
    is_same = len(samples) == 1
    return Figure(what, ("identical" if is_same else "DIFFERENT") + detail, "identical", is_same)


@contextlib.contextmanager
def _serving(folder: Path, *, fault_rate: float = 0.0) -> Iterator[str]:
    options = ["--latency-seconds", str(LATENCY_SECONDS), "--fault-rate", str(fault_rate)]
    command = [sys.executable, "-m", "tests.fakes.range_server", str(folder), *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        assert server.stdin
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


def _read(place: str) -> Read:
    command = [sys.executable, "-m", "tests.bench.media_reader", place]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Read(**json.loads(done.stdout))
