"""Run one program to its end and tell what it cost: wall clock, CPU time and memory of its whole process tree."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Self

import psutil

MEMORY_LIMIT_BYTES = 11_000_000_000
"""Of private memory; what takes more is stopped, for the machine's sake."""

_SAMPLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program. `stopped` says why it was ended from outside, and is empty if it wasn't."""

    exit_code: int
    output: str
    errors: str
    wall_seconds: float
    cpu_seconds: float
    anonymous_bytes: int
    stopped: str


def run(command: Sequence[str], *, folder: Path, limit_seconds: float) -> Run:
    """Run a command in a folder.

    CPU time counts every descendant that was waited for. Memory is the largest sum of anonymous pages over the tree
    that was seen, looking every 50 ms.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
        )
        _cap_memory(process.pid)
        with _Watch(process.pid, began + limit_seconds) as watch:
            _, status, usage = os.wait4(process.pid, 0)
            wall_seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_seconds = usage.ru_utime + usage.ru_stime
        texts = _text(output), _text(errors)
        return Run(process.returncode, *texts, wall_seconds, cpu_seconds, watch.peak_bytes, watch.stopped)


def _cap_memory(pid: int) -> None:
    """Limit the private memory of the process, and of each that it starts later."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).rlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


class _Watch:
    """Samples a tree's memory in a thread, and ends the tree when it takes too long or too much."""

    def __init__(self, pid: int, deadline: float) -> None:
        self.peak_bytes = 0
        self.stopped = ""
        self._pid = pid
        self._deadline = deadline
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look_until_done, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look_until_done(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            self.peak_bytes = max(self.peak_bytes, _tree_anonymous_bytes(self._pid))
            if self.peak_bytes > MEMORY_LIMIT_BYTES:
                self._stop("memory limit")
            elif time.perf_counter() > self._deadline:
                self._stop("time limit")

    def _stop(self, why: str) -> None:
        self.stopped = why
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)


def _tree_anonymous_bytes(pid: int) -> int:
    return _anonymous_bytes(pid) + sum(_tree_anonymous_bytes(child) for child in _children(pid))


def _children(pid: int) -> list[int]:
    """List them as the kernel does; looking through all processes of the machine would cost the measured one time."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    return found


def _anonymous_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    return 0
