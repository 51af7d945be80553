"""Processes that a benchmark starts, measures and ends; it touches no others."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil

STOP_SECONDS = 30.0


@contextlib.contextmanager
def running(arguments: list[str], *, log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments until the end of the block; then SIGTERM, and SIGKILL if that does not help."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    children = tree(process.pid)[1:]
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()  # psutil knows by the start time whether the pid is still the same process


def tree(pid: int) -> list[psutil.Process]:
    """List a process and its descendants."""
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pid: int) -> float:
    """Sum user and system time over a process and its living descendants."""
    total = 0.0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def tree_pss_bytes(pid: int) -> int:
    """Sum proportional set sizes over a process tree: shared pages count once."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            total += process.memory_full_info().pss
    return total


def tree_anonymous_bytes(pid: int) -> int:
    """Sum what a process tree holds that is no part of a file; memory maps of files don't count."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))
    return total


class PeakMemory:
    """Samples memory in a thread, from `with` to its end: a process's, or the anonymous memory of a whole tree.

    `peak_bytes` is the most that was seen.
    """

    def __init__(self, pid: int, *, whole_tree: bool, every_seconds: float) -> None:
        self.peak_bytes = 0
        self._pid = pid
        self._whole_tree = whole_tree
        self._every_seconds = every_seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_stopped, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample_until_stopped(self) -> None:
        while True:
            self.peak_bytes = max(self.peak_bytes, self._now())
            if self._stop.wait(self._every_seconds):
                return

    def _now(self) -> int:
        if self._whole_tree:
            return tree_anonymous_bytes(self._pid)
        with contextlib.suppress(psutil.NoSuchProcess):
            return int(psutil.Process(self._pid).memory_info().rss)
        return 0
