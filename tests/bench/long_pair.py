"""`sync-analyzer analyze` on a long pair, against what ffmpeg needs to decode the same two files."""

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

MINUTES = 20
RUNS = 5
MEMORY_RUNS = 2
LATE_SAMPLES = 117_902
_MB = 1e6
_DECODE = "ffmpeg -v error -nostdin -i FILE -ac 1 -ar 16000 -f f32le -y /dev/null"
_ANALYSE = "sync-analyzer analyze MASTER DUB --json"
_HOW = (
    f"Two stereo WAV files of {MINUTES} minutes, 48 kHz, 16 bit, another language over the same music and effects, the "
    f"dub {LATE_SAMPLES / RATE_HZ:.6f} s late. `{_ANALYSE}` against `{_DECODE}` for the one file and then the other, "
    f"in turns, start-up included, files in the page cache. Memory is the proportional set size of the process tree, "
    f"sampled in {MEMORY_RUNS} runs of its own."
)


def measure() -> Section:
    """Make the pair if it isn't in the cache, and time both commands in turns."""
    if shutil.which("ffmpeg") is None:
        raise RuntimeError("this benchmark compares with ffmpeg, which is not on this machine: apt-get install ffmpeg")
    master, dub = _pair()
    decoding, analysing = _decode_commands(master, dub), [_analyse_command(master, dub)]
    _timed(decoding), _timed(analysing)  # so that the files are in the page cache
    rounds = [(_timed(decoding), _timed(analysing)) for _ in range(RUNS)]
    peaks = [_peak_bytes(analysing[0]) for _ in range(MEMORY_RUNS)]
    return Section("One long pair", _HOW, tuple(_figures(rounds, peaks, _found_seconds(analysing[0]))))


def _pair() -> tuple[Path, Path]:
    """Give the two files, made once and kept in the cache."""
    folder = cache_folder() / "bench" / f"pair-{MINUTES}-minutes"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent) as name:
            work = Path(name) / folder.name
            work.mkdir()
            _write_pair(work / "master.wav", work / "dub.wav")
            work.rename(folder)
    return folder / "master.wav", folder / "dub.wav"


def _write_pair(master: Path, dub: Path) -> None:
    recordings = _recordings()
    with wave.open(str(master), "wb") as one, wave.open(str(dub), "wb") as other:
        for file in (one, other):
            file.setparams((2, 2, RATE_HZ, 0, "NONE", ""))
        other.writeframes(bytes(4 * LATE_SAMPLES))
        for minute in range(MINUTES):
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


def _analyse_command(master: Path, dub: Path) -> list[str]:
    return [str(Path(sys.executable).with_name("sync-analyzer")), "analyze", str(master), str(dub), "--json"]


def _timed(commands: Sequence[list[str]]) -> tuple[float, float]:
    """Run commands one after the other; returns wall-clock and CPU seconds."""
    began, before = time.perf_counter(), os.times()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - began, cpu


def _peak_bytes(command: list[str]) -> int:
    with (
        subprocess.Popen(command, stdout=subprocess.DEVNULL) as process,
        PeakMemory(process.pid, whole_tree=True, every_seconds=0.02) as memory,
    ):
        process.wait()
    return memory.peak_bytes


def _found_seconds(command: list[str]) -> float:
    done = subprocess.run(command, check=True, capture_output=True)
    return float(json.loads(done.stdout)["offset_seconds"])


def _figures(
    rounds: list[tuple[tuple[float, float], tuple[float, float]]], peaks: list[int], found_seconds: float
) -> Iterator[Figure]:
    wall = [(decode[0], analyse[0]) for decode, analyse in rounds]
    cpu = [(decode[1], analyse[1]) for decode, analyse in rounds]
    yield _ratio("analyze against ffmpeg, wall clock", wall)
    yield Figure("ffmpeg, both files, wall clock", spread([pair[0] for pair in wall], "s"))
    yield Figure("analyze, wall clock", spread([pair[1] for pair in wall], "s"))
    yield Figure("ffmpeg, both files, CPU", spread([pair[0] for pair in cpu], "s"))
    yield Figure("analyze, CPU", spread([pair[1] for pair in cpu], "s"))
    yield at_most("peak memory of the process tree", max(peaks) / _MB, 600, "MB")
    error_ms = 1000 * abs(found_seconds + LATE_SAMPLES / RATE_HZ)
    yield at_most("error of the offset that it found", error_ms, 1, "ms")


def _ratio(what: str, pairs: list[tuple[float, float]]) -> Figure:
    """Compare the medians; beside them, the extremes of the runs' own ratios."""
    ratios = [analyse / decode for decode, analyse in pairs]
    of_medians = statistics.median(pair[1] for pair in pairs) / statistics.median(pair[0] for pair in pairs)
    return at_most(what, of_medians, 4, "times", detail=f" (runs: {min(ratios):.2f} to {max(ratios):.2f})")
