"""The worker's side of the process that runs the models for all its children."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from pathlib import Path
from typing import Final

from sync_core.pipeline.spool import Spool
from sync_core.pipeline.start_python import start_python

_BACKLOG: Final = 64
_REAP_SECONDS: Final = 5.0


class SharedModels:
    """Keeps at most one such process: starts it when it is first needed, and another when it has ended.

    Belongs to one event loop, whose thread must last as long as the process.
    """

    def __init__(self) -> None:
        self._spool = Spool(None)  # not where decoded audio lies: a socket's path must be short
        self._process: subprocess.Popen[bytes] | None = None
        self._address: Path | None = None

    @property
    def pid(self) -> int | None:
        """Process id, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def address(self) -> Path:
        """Socket of the process that runs; starts one if none does. Loading the models is the first client's affair."""
        if self._address is None or self.pid is None:
            self._address = self._spool.make_folder() / "models"
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(self._address))
                listening.listen(_BACKLOG)
                self._process = start_python("sync_core.pipeline.model_server", listening)
        return self._address

    async def discard(self, address: Path) -> None:
        """End the process that listens there, if it is still the one; the next call of `address` starts another."""
        if address == self._address:
            await self._end()

    async def close(self) -> None:
        """End the process."""
        await self._end()
        await asyncio.to_thread(self._spool.remove)

    async def _end(self) -> None:
        process, self._process, self._address = self._process, None, None
        if process is not None:
            process.kill()
            await asyncio.to_thread(process.wait, _REAP_SECONDS)
