"""Starting a Python process of this package beside the calling one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import sync_core


def start_python(module: str, connection: socket.socket, *arguments: str) -> subprocess.Popen[bytes]:
    """Run `python -m module FD PARENT_PID *arguments`; FD is the number of `connection`, which the process inherits.

    Takes a millisecond or two. The kernel may kill the process when the *thread* that calls this ends (see
    `end_with_parent`), so call it on one that lasts.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(connection.fileno()), str(os.getpid()), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        pass_fds=(connection.fileno(),),
        env=_environment(),
        process_group=0,  # Ctrl-C in a terminal is for the parent
    )


def how_it_ended(exit_code: int | None) -> str:
    """Say what became of a process that should have gone on; None: it is still there.

    Examples
    --------
    >>> how_it_ended(-11)
    'was killed by SIGSEGV'
    """
    if exit_code is None or exit_code >= 0:
        return f"ended unexpectedly (exit code {exit_code})"
    hint = ", perhaps for lack of memory" if -exit_code == signal.SIGKILL else ""
    return f"was killed by {signal.Signals(-exit_code).name}{hint}"


def _environment() -> dict[str, str]:
    """Let the process find this very package, wherever the calling one was started."""
    package_home = str(Path(sync_core.__path__[0]).parent)
    paths = [package_home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
