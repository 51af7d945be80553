"""A process that decodes one file, seen from the one that started it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from types import TracebackType
from typing import Self

from sync_core.pipeline.start_python import how_it_ended, start_python

_REAP_SECONDS = 5.0


class DecoderProcess:
    """Starts `sync_core.pipeline.decoder`, which then loads its libraries by itself. Leaving its context ends it.

    Attributes
    ----------
    connection
        Takes one `LoadOrder`, and gives what comes of it; see `load_apart`.
    """

    def __init__(self) -> None:
        self.connection, theirs = socket.socketpair()
        with theirs:
            self._process = start_python("sync_core.pipeline.decoder", theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.connection.close()
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck in a read that cannot be interrupted
            self._process.wait(_REAP_SECONDS)

    def ending(self) -> str:
        """Wait for the end that has shown in the connection, and say what it was."""
        try:
            return how_it_ended(self._process.wait(_REAP_SECONDS))
        except subprocess.TimeoutExpired:
            return how_it_ended(None)
