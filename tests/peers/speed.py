"""Time every program on the same long pairs, in turns, beside ffmpeg decoding the two files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.peers.ask import ask
from tests.peers.measure import run
from tests.peers.pairs import TRUE_OFFSET_SECONDS, pair
from tests.peers.peer import Peer

FFMPEG = "ffmpeg"
DECODE = "ffmpeg -v error -nostdin -i FILE -ac 1 -ar 16000 -f null -"
ROUNDS = {2: 5, 20: 3, 120: 1}
"""Of each length in minutes; more of the short ones, which scatter more."""
LIMIT_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One run. `load` is the machine's load average (one minute) just before it."""

    program: str
    version: str
    minutes: int
    load: float
    wall_seconds: float
    cpu_seconds: float
    anonymous_bytes: int
    error_seconds: float | None
    failure: str


def measure(programs: Mapping[Peer, Path], minutes: int) -> list[Timing]:
    """Time them all on the pair of this length, round after round; one that fails is not asked again."""
    files = pair(minutes)
    timings: list[Timing] = []
    failed: set[str] = set()
    for _ in range(ROUNDS[minutes]):
        timings.append(_time_ffmpeg(minutes, *files))
        for peer, bin_folder in programs.items():
            if peer.name not in failed:
                timings.append(_time(peer, bin_folder, minutes, *files))
        failed |= {timing.program for timing in timings if timing.failure}
    return timings


def _time_ffmpeg(minutes: int, master: Path, dub: Path) -> Timing:
    load, wall, cpu, peak = os.getloadavg()[0], 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as folder:
        for file in (master, dub):
            command = [str(file) if word == "FILE" else word for word in DECODE.split()]
            done = run(command, folder=Path(folder), limit_seconds=LIMIT_SECONDS)
            wall, cpu, peak = (
                wall + done.wall_seconds,
                cpu + done.cpu_seconds,
                max(peak, done.anonymous_bytes),
            )
    return Timing(FFMPEG, "", minutes, load, wall, cpu, peak, None, "")


def _time(peer: Peer, bin_folder: Path, minutes: int, master: Path, dub: Path) -> Timing:
    load = os.getloadavg()[0]
    reply = ask(peer, bin_folder, master, dub, limit_seconds=LIMIT_SECONDS)
    found = reply.answer.offset_seconds
    return Timing(
        peer.name,
        peer.version,
        minutes,
        load,
        reply.run.wall_seconds,
        reply.run.cpu_seconds,
        reply.run.anonymous_bytes,
        None if found is None else abs(found - TRUE_OFFSET_SECONDS),
        reply.failure,
    )
