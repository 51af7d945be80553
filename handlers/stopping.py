"""When a process is to stop: at a signal, or with whoever started it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable


def stop_when_asked(stop: Callable[[], None], *, with_stdin: bool) -> None:
    """Have `stop` called at SIGTERM and SIGINT, and if so wished at the end of standard input.

    That pipe ends with the parent, however that one dies.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    if with_stdin:
        loop.add_reader(sys.stdin.fileno(), _stop_at_end_of_stdin, loop, stop)


def _stop_at_end_of_stdin(loop: asyncio.AbstractEventLoop, stop: Callable[[], None]) -> None:
    if not os.read(sys.stdin.fileno(), 1024):
        loop.remove_reader(sys.stdin.fileno())
        stop()
