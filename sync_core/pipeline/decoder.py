"""A process that decodes one file for its parent, into spool files.

Run as `python -m sync_core.pipeline.decoder FD PARENT_PID`, FD being its end of a socket pair. It never outlives its
parent: the kernel kills it (Linux), and elsewhere its next report finds nobody.
"""

from __future__ import annotations

import socket
import sys
import time
import traceback
from collections.abc import Callable
from typing import Final

import sync_core.pipeline.numeric_runtime  # isort: skip  # noqa: F401  must come before numpy

from sync_core.domain.errors import SyncError
from sync_core.pipeline.framing import encode, receive_blocking
from sync_core.pipeline.load_apart import Decoded, DecodedRow, Undecoded
from sync_core.pipeline.load_track import LoadOrder, load_track
from sync_core.pipeline.with_parent import end_with_parent

_REPORT_SECONDS: Final = 0.25
"""As often as anybody looks. Each report takes the interpreter from the parent's own decoding for a moment."""


def main() -> None:
    """Decode what the parent asks for, and leave."""
    connection = socket.socket(fileno=int(sys.argv[1]))
    end_with_parent(int(sys.argv[2]))
    order = receive_blocking(connection)
    assert isinstance(order, LoadOrder)
    connection.sendall(encode(_answer(order, _now_and_then(lambda fraction: connection.sendall(encode(fraction))))))


def _now_and_then(report: Callable[[float], None]) -> Callable[[float], None]:
    """Pass a report on only if the last one is some time ago."""
    due = 0.0

    def on_fraction(fraction: float) -> None:
        nonlocal due
        now = time.monotonic()
        if now >= due:
            due = now + _REPORT_SECONDS
            report(fraction)

    return on_fraction


def _answer(order: LoadOrder, on_fraction: Callable[[float], None]) -> Decoded | Undecoded:
    try:
        loaded = load_track(order, lambda: False, on_fraction)
    except (SyncError, MemoryError, OSError) as error:
        return Undecoded(error)
    except Exception:  # noqa: BLE001  the parent decides what becomes of it
        return Undecoded(RuntimeError(traceback.format_exc()))
    tracks = [("mix", loaded.mix), *loaded.channels]
    rows = tuple(DecodedRow(name, track.start_seconds, track.non_finite_count) for name, track in tracks)
    return Decoded(rows, loaded.info, loaded.silent)


if __name__ == "__main__":
    main()
