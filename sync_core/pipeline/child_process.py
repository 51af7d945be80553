"""The parent's side of one child process."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from typing import Self

from sync_core.domain.errors import DecoderCrashed
from sync_core.domain.methods import AiModel
from sync_core.domain.result import AnalysisResult, Progress
from sync_core.jobs.ports.analyzer import OnProgress
from sync_core.jobs.ports.media_objects import MediaObjects
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.framing import encode, receive
from sync_core.pipeline.lending import AddressWanted, Lender
from sync_core.pipeline.start_python import how_it_ended, start_python
from sync_core.pipeline.wire import Bug, Done, Failed, Task, Warm, Warmed

_REAP_SECONDS = 5.0


class AnalyzerBug(RuntimeError):
    """An error in the child that nobody foresaw; the message is its traceback."""


class ChildProcess:
    """A process that compares one pair at a time. Make it with `start`."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self.tasks_taken = 0

    @classmethod
    async def start(cls) -> Self:
        """Start a child, which then loads its libraries by itself.

        It is forked on the calling thread, which must be the event loop's; see `start_python`.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            process = start_python("sync_core.pipeline.child", theirs)
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            process.kill()
            ours.close()
            raise
        return cls(process, reader, writer)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def warm(self, ai: AiSettings, models: tuple[AiModel, ...]) -> tuple[str, ...]:
        """Wait until the child has loaded its libraries and these models; return sentences about what it could not.

        Raises
        ------
        DecoderCrashed
            If the child died over it.
        """
        try:
            self._writer.write(encode(Warm(ai, models)))
            warmed = await receive(self._reader)
        except (EOFError, ConnectionError) as error:
            raise DecoderCrashed(f"a process that compares pairs {await self._death()} while it started") from error
        assert isinstance(warmed, Warmed)
        return warmed.troubles

    async def run(
        self, task: Task, on_progress: OnProgress, *, stall_seconds: float, media: MediaObjects | None = None
    ) -> AnalysisResult:
        """Have a pair compared. After any error but a SyncError that the child sent, the child must be ended.

        Parameters
        ----------
        media
            Gives the child addresses of objects in S3.

        Raises
        ------
        SyncError
            As the child met it.
        DecoderCrashed
            If the child died, or gave no sign of progress for `stall_seconds`.
        AnalyzerBug
            For an error in the child that nobody foresaw.
        """
        self.tasks_taken += 1
        lender = Lender(media, lambda lent: self._writer.write(encode(lent)))
        try:
            self._writer.write(encode(task))
            return await self._listen(on_progress, lender, stall_seconds)
        except (EOFError, ConnectionError) as error:
            raise DecoderCrashed(f"{_pair(task)}: the process doing it {await self._death()}") from error
        except TimeoutError as error:
            raise DecoderCrashed(
                f"{_pair(task)}: no sign of progress for {stall_seconds:g} s, so the process doing it was ended"
            ) from error
        finally:
            lender.stop()

    async def _listen(self, on_progress: OnProgress, lender: Lender, stall_seconds: float) -> AnalysisResult:
        while True:
            async with asyncio.timeout(stall_seconds):
                message = await receive(self._reader)
            match message:
                case Progress():
                    on_progress(message)
                case AddressWanted():
                    lender.lend(message)
                case Done():
                    return message.result
                case Failed():
                    raise message.error
                case Bug():
                    raise AnalyzerBug(message.traceback)

    async def end(self) -> None:
        """Kill the child and wait until it is gone."""
        self._process.kill()
        self._writer.close()
        await asyncio.to_thread(self._reap)

    async def _death(self) -> str:
        return how_it_ended(await asyncio.to_thread(self._reap))

    def _reap(self) -> int | None:
        try:
            return self._process.wait(_REAP_SECONDS)
        except subprocess.TimeoutExpired:
            return None


def _pair(task: Task) -> str:
    return f"comparing {task.request.master_file} with {task.request.dub_file} failed"
