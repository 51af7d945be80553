"""Child processes of tests: started with a clean environment, never left behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

_FAMILY = "SYNC_TEST_FAMILY"
ROOT = Path(__file__).resolve().parents[2]


def environment(**settings: object) -> dict[str, str]:
    """Give this process's environment with other settings of ours, so that a developer's own do no harm."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SYNC_")}
    ours = {name: str(value) for name, value in settings.items()}
    path = os.pathsep.join(filter(None, [str(ROOT), inherited.get("PYTHONPATH")]))
    return {**inherited, "PYTHONPATH": path, "COLUMNS": "200", "NO_COLOR": "1", **ours}


@contextlib.contextmanager
def started(
    module: str, *args: str, log: Path, cwd: Path = ROOT, stdout: int | None = None, **settings: object
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module in a session of its own; at the end neither it nor any process that it started is left alive."""
    family = secrets.token_hex(8)
    with log.open("ab") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            env=environment(**{_FAMILY: family}, **settings),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=stdout if stdout is not None else stderr,
            stderr=stderr,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        _kill_family(family)


def _kill_family(name: str) -> None:
    """Kill what has inherited the name, also from parents that are dead and in sessions of their own."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_FAMILY) == name:
                process.kill()


def wait_until(condition, *, within_seconds: float = 30.0, every_seconds: float = 0.02):
    """Wait for something that is true; gives it."""
    end = time.monotonic() + within_seconds
    while not (outcome := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(every_seconds)
    return outcome


def descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def all_gone(processes: Sequence[psutil.Process]) -> bool:
    """Tell whether none of them runs any more; a zombie does not."""
    return not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in processes if _exists(p))


def _exists(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.status()
        return True
    return False
