"""What the worker and its child processes say to each other over a socket: pickled messages, each behind its length."""

from __future__ import annotations

import asyncio
import pickle
import socket
import struct
from dataclasses import dataclass
from pathlib import Path

from sync_core.domain.errors import SyncError
from sync_core.domain.media import MediaPolicy
from sync_core.domain.result import AnalysisResult, Progress
from sync_core.jobs.ports.analyzer import AnalysisRequest
from sync_core.pipeline.ai_settings import AiSettings

_LENGTH = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Task:
    """To the child: compare this pair."""

    request: AnalysisRequest
    policy: MediaPolicy
    tolerance_seconds: float | None
    spool_folder: Path
    ai: AiSettings


@dataclass(frozen=True, slots=True)
class Done:
    """From the child: the answer."""

    result: AnalysisResult


@dataclass(frozen=True, slots=True)
class Failed:
    """From the child: an error that was raised on purpose."""

    error: SyncError


@dataclass(frozen=True, slots=True)
class Bug:
    """From the child: an error that nobody foresaw, with its traceback as text."""

    traceback: str


Message = Task | Progress | Done | Failed | Bug


def encode(message: Message) -> bytes:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> Message:
    """Wait for the next message.

    Raises
    ------
    EOFError, ConnectionError
        If the other side is gone (`asyncio.IncompleteReadError` is an EOFError).
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return _decode(await reader.readexactly(length))


def receive_blocking(connection: socket.socket) -> Message:
    """Wait for the next message without an event loop.

    Raises
    ------
    EOFError
        If the other side is gone.
    """
    (length,) = _LENGTH.unpack(_read_exactly(connection, _LENGTH.size))
    return _decode(_read_exactly(connection, length))


def _read_exactly(connection: socket.socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = connection.recv(count - len(parts))
        if not part:
            raise EOFError
        parts += part
    return bytes(parts)


def _decode(body: bytes) -> Message:
    message: Message = pickle.loads(body)  # noqa: S301  both ends are this program under the same user
    return message
