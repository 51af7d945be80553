"""Messages between this program's own processes over a socket: pickled, each behind its length."""

from __future__ import annotations

import pickle
import socket
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio  # which takes longer to load than all else here; those who have a loop have it already

_LENGTH = struct.Struct("!I")


def encode(message: object) -> bytes:
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


async def receive(reader: asyncio.StreamReader) -> object:
    """Wait for the next message.

    Raises
    ------
    EOFError, ConnectionError
        If the other side is gone (`asyncio.IncompleteReadError` is an EOFError).
    """
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    return _decode(await reader.readexactly(length))


def receive_blocking(connection: socket.socket) -> object:
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


def _decode(body: bytes) -> object:
    message: object = pickle.loads(body)  # noqa: S301  both ends are this program under the same user
    return message
