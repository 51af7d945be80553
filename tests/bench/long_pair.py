"""`sync-analyzer analyze` on pairs of many lengths and kinds, against what ffmpeg needs to decode the same two files.

`BENCH_KINDS` (JSON list of names) limits which are measured.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from handlers.cli.demo_audio.packages import PackagesUnavailable, cache_folder
from handlers.cli.demo_audio.programme import build_programme
from handlers.cli.demo_audio.recordings import Recordings, load_recordings
from handlers.cli.demo_audio.synthesis import synthesise
from handlers.cli.demo_audio.timing import RATE_HZ
from sync_core.media.small_files import Stereo
from tests.bench.processes import PeakMemory
from tests.bench.report import Figure, Section, at_most, spread

LATE_SAMPLES = 117_902
CUT_SECONDS = 300
"""Of pairs with edits: a minute is left out of the dub after every five."""
MOST_MEMORY_MB = 500

_MB = 1e6
_DECODE = "ffmpeg -v error -nostdin -i FILE -vn -ac 1 -ar 16000 -f f32le -y /dev/null"
_ENCODE = {
    "wav": "",
    "m4a": "ffmpeg -v error -nostdin -i FILE -c:a aac -b:a 160k",
    "mov": "ffmpeg -v error -nostdin -f lavfi -i color=gray:size=64x36:rate=25 -i FILE -shortest -c:v mjpeg "
    "-c:a pcm_s24le",
    "edits.wav": "ffmpeg -v error -nostdin -i FILE -af aselect='FILTER',asetpts=N/SR/TB,asetrate=50000,aresample=48000",
}
_PROBE = (
    "import time; began = time.perf_counter(); from pathlib import Path; "
    "import sync_core.pipeline.compare_files; from sync_core.media.decode import AudioReader; import sys; "
    "next(AudioReader(Path(sys.argv[1]), sys.argv[1]).blocks()); print(time.perf_counter() - began)"
)


@dataclass(frozen=True, slots=True)
class Kind:
    """A pair to measure: its length, how its files are encoded, and what is asked of it.

    `most` is the greatest ratio to ffmpeg; None where only memory is of interest.
    """

    minutes: int
    ending: str
    runs: int
    most: float | None
    depth: str = "full"

    @property
    def name(self) -> str:
        depth = "" if self.depth == "full" else f" {self.depth}"
        return f"{self.minutes} min {self.ending}{depth}"


KINDS = (
    Kind(2, "wav", 5, None),
    Kind(20, "wav", 5, 2.0),
    Kind(20, "edits.wav", 3, 4.0),
    Kind(120, "wav", 2, 1.25),
    Kind(120, "m4a", 2, 1.25),
    Kind(120, "mov", 2, 1.25),
    Kind(120, "edits.wav", 1, 2.5),
    Kind(120, "wav", 2, 0.5, "quick"),
    Kind(240, "wav", 1, None),
)
_HOW = (
    f"Stereo files, 48 kHz, another language over the same music and effects, the dub {LATE_SAMPLES / RATE_HZ:.6f} s "
    "late; 16-bit WAV, AAC in m4a, 24-bit PCM beside pictures in MOV; `edits`: a minute left out of the dub after each "
    f"five, and all of it 25/24 too fast. `sync-analyzer analyze MASTER DUB --json` against `{_DECODE}` for the one "
    "file and then the other, in turns, start-up included, files in the page cache. CPU seconds, user and system, are "
    "beside wall clock: on a busy machine they are what can be compared. Memory is anonymous memory of the process "
    "tree, sampled in a run of its own."
)


def measure() -> Section:
    """Make the pairs that aren't in the cache, and time both commands in turns."""
    if shutil.which("ffmpeg") is None:
        raise RuntimeError("this benchmark compares with ffmpeg, which is not on this machine: apt-get install ffmpeg")
    chosen = json.loads(os.environ.get("BENCH_KINDS", "[]")) or [kind.name for kind in KINDS]
    figures = [figure for kind in KINDS if kind.name in chosen for figure in _of_kind(kind)]
    return Section("Long pairs", _HOW, (_start_up(_pair(2, "wav")[0]), *figures))


def _start_up(file: Path) -> Figure:
    runs = [
        float(subprocess.run([sys.executable, "-c", _PROBE, str(file)], check=True, capture_output=True).stdout)
        for _ in range(5)
    ]
    return at_most("import to first decoded sample", statistics.median(runs), 1, "s", detail=f" ({spread(runs, 's')})")


def _of_kind(kind: Kind) -> Iterator[Figure]:
    master, dub = _pair(kind.minutes, kind.ending)
    decoding, analysing = _decode_commands(master, dub), [_analyse_command(master, dub, kind.depth)]
    _timed(decoding)  # so that the files are in the page cache
    rounds = [(_timed(decoding), _timed(analysing)) for _ in range(kind.runs)]
    walls = [(decode[0], analyse[0]) for decode, analyse in rounds]
    cpus = [(decode[1], analyse[1]) for decode, analyse in rounds]
    yield _ratio(f"{kind.name}: wall clock, ffmpeg = 1", walls, kind.most)
    yield _ratio(f"{kind.name}: CPU, ffmpeg = 1", cpus, None)
    yield Figure(f"{kind.name}: analyze, CPU", spread([pair[1] for pair in cpus], "s"))
    peak, found_seconds = _watched(analysing[0])
    yield at_most(f"{kind.name}: peak anonymous memory", peak / _MB, MOST_MEMORY_MB, "MB")
    if kind.ending != "edits.wav":
        error_ms = 1000 * abs(found_seconds + LATE_SAMPLES / RATE_HZ)
        yield at_most(f"{kind.name}: error of the offset", error_ms, 1, "ms")


def _pair(minutes: int, ending: str) -> tuple[Path, Path]:
    """Give the two files, made once and kept in the cache."""
    folder = cache_folder() / "bench" / f"pair-{minutes}-minutes"
    if not folder.is_dir():
        with _made_whole(folder) as work:
            _write_pair(work / "master.wav", work / "dub.wav", minutes)
    edited = ending == "edits.wav"
    master, dub = (folder / f"master.{'wav' if edited else ending}", folder / f"dub.{ending}")
    for file in (master, dub):
        if not file.exists():
            _encode(folder / f"{file.name.partition('.')[0]}.wav", file, _ENCODE[ending])
    return master, dub


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which takes its name only when all is in it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as name:
        work = Path(name) / folder.name
        work.mkdir()
        yield work
        work.rename(folder)


def _encode(source: Path, file: Path, command: str) -> None:
    kept = f"lt(mod(t,{CUT_SECONDS + 60}),{CUT_SECONDS})"
    words = [{"FILE": str(source)}.get(word, word).replace("FILTER", kept) for word in command.split()]
    part = file.with_name(f"part.{file.name}")
    subprocess.run([*words, "-y", str(part)], check=True)
    part.rename(file)


def _write_pair(master: Path, dub: Path, minutes: int) -> None:
    recordings = _recordings()
    with wave.open(str(master), "wb") as one, wave.open(str(dub), "wb") as other:
        for file in (one, other):
            file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        other.writeframes(bytes(4 * LATE_SAMPLES))
        for minute in range(minutes):
            programme = build_programme(recordings, seconds=60, seed=minute)
            one.writeframes(_pcm(programme.master))
            other.writeframes(_pcm(programme.dub))


def _recordings() -> Recordings:
    try:
        return load_recordings(cache=cache_folder(), on_progress=lambda _: None)
    except PackagesUnavailable as error:
        return synthesise(reason=str(error))


def _pcm(audio: Stereo) -> bytes:
    return np.round(audio * 32767.0).astype("<i2").tobytes()


def _decode_commands(*files: Path) -> list[list[str]]:
    return [[str(file) if word == "FILE" else word for word in _DECODE.split()] for file in files]


def _analyse_command(master: Path, dub: Path, depth: str) -> list[str]:
    program = str(Path(sys.executable).with_name("sync-analyzer"))
    return [program, "analyze", str(master), str(dub), "--json", "--depth", depth]


def _timed(commands: Sequence[list[str]]) -> tuple[float, float]:
    """Run commands one after the other; returns wall-clock and CPU seconds."""
    began, before = time.perf_counter(), os.times()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu


def _watched(command: list[str]) -> tuple[int, float]:
    """Run a command; returns its peak of anonymous memory, bytes, and the offset that it found, seconds."""
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        PeakMemory(process.pid, whole_tree=True, every_seconds=0.05) as memory,
    ):
        output, _ = process.communicate()
    found = json.loads(output)["offset_seconds"]
    return memory.peak_bytes, float("nan") if found is None else found


def _ratio(what: str, pairs: list[tuple[float, float]], most: float | None) -> Figure:
    """Compare the medians; beside them, the extremes of the runs' own ratios."""
    ratios = [analyse / decode for decode, analyse in pairs]
    of_medians = statistics.median(pair[1] for pair in pairs) / statistics.median(pair[0] for pair in pairs)
    detail = f" (runs: {min(ratios):.2f} to {max(ratios):.2f})"
    if most is None:
        return Figure(what, f"{of_medians:.3g} times{detail}")
    return at_most(what, of_medians, most, "times", detail=detail)
