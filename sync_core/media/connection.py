"""Connections to one server over HTTP/1.1: one for each thread that asks, used again as long as it lasts.

The time per request counts: what fetching takes of the interpreter's lock is missing to decoding. The heads of plain
answers, which nearly all are, are therefore read here; all others are left to the standard library, whose parser takes
longer than everything else about a request.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import re
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""The longest waits for a connection, and for the next bytes."""
_WAS_CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""What using a connection again gives that the server has closed meanwhile."""
_MOST_HEAD_BYTES = 64 * 1024
_HEAD_PIECE_BYTES = 4096
_END_OF_HEAD = b"\r\n\r\n"
_PLAIN_HEAD = re.compile(r"HTTP/1\.1 206 [^\r\n]*((?:\r\n[!-9;-~]+:[^\x00-\x08\x0a-\x1f\x7f]*)+)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to connect to: the host is whom to expect there, the address where to go."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    address: str | None = None
    """None: wherever the host's name leads."""

    @property
    def authority(self) -> str:
        """What the Host header says: without the scheme's own port, as signatures expect."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


class Answer(Protocol):
    """The head of an answer, and its body to be read."""

    @property
    def status(self) -> int: ...

    def header(self, name: str) -> str | None: ...

    def read_into(self, room: memoryview) -> int:
        """Take what has arrived of the body, at most as much as there is room for; tells how much, 0 at its end."""
        ...

    def finish(self, *, is_read: bool) -> None:
        """Give the connection back, for another request if the body was read to its end."""
        ...


class Connections:
    """Sends requests to one server; closed, it may be used again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._of_thread = threading.local()
        self._lock = threading.Lock()
        self._all: list[_Connection] = []

    def get(self, target: str, headers: Mapping[str, str]) -> Answer:
        """Send a request, and wait for the head of the answer.

        Raises
        ------
        OSError, http.client.HTTPException
            If there is none.
        """
        connection = self._connection()
        request = _request(target, {"Host": self._server.authority, **headers})
        if connection.is_open:
            with contextlib.suppress(*_WAS_CLOSED):  # then it is made anew
                return connection.ask(request)
        return connection.ask(request)

    def close(self) -> None:
        """Close all connections; requests that are under way fail."""
        with self._lock:
            for connection in self._all:
                connection.close()

    def _connection(self) -> _Connection:
        found: _Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = self._of_thread.connection = _Connection(self._server)
            with self._lock:
                self._all.append(found)
        return found


def _request(target: str, headers: Mapping[str, str]) -> bytes:
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if " " in target or not target.isascii() or any(map(_CONTROL.search, lines)):
        raise http.client.InvalidURL("the address, or what goes with it, holds characters that no request may hold")
    return "\r\n".join((*lines, "", "")).encode("latin-1")


class _Connection:
    """A socket that is there once it is needed."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._socket: socket.socket | None = None

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    def ask(self, request: bytes) -> Answer:
        """Send a request and read the head of the answer."""
        try:
            wire = self._socket
            if wire is None:
                wire = self._socket = _connected(self._server)
            wire.sendall(request)
            return _answer(self, wire)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        closing, self._socket = self._socket, None
        if closing is not None:
            closing.close()


def _connected(server: Server) -> socket.socket:
    """Connect to the address, and have the server prove that it is the host."""
    plain = socket.create_connection((server.address or server.host, server.port), CONNECT_SECONDS)
    try:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected = server.tls.wrap_socket(plain, server_hostname=server.host) if server.tls else plain
        connected.settimeout(READ_SECONDS)
    except BaseException:
        plain.close()
        raise
    return connected


def _answer(connection: _Connection, wire: socket.socket) -> Answer:
    received = wire.recv(_HEAD_PIECE_BYTES)
    while (end := received.find(_END_OF_HEAD)) < 0:
        piece = wire.recv(_HEAD_PIECE_BYTES) if received else b""
        if not piece:
            raise http.client.RemoteDisconnected(f"the connection ended {len(received)} bytes into the answer's head")
        received += piece
        if len(received) > _MOST_HEAD_BYTES:
            raise http.client.HTTPException(f"an answer's head is longer than {_MOST_HEAD_BYTES} bytes")
    headers = _plain_headers(received[:end])
    if headers is None:
        return _OtherAnswer(connection, wire, received)
    return _PlainAnswer(connection, wire, headers, received[end + len(_END_OF_HEAD) :])


def _plain_headers(head: bytes) -> dict[str, str] | None:
    """Read the head of an answer of known length behind which the connection goes on; None: it is another."""
    found = _PLAIN_HEAD.fullmatch(head.decode("latin-1"))
    if found is None:
        return None
    lines = found[1].removeprefix("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    is_plain = (
        headers.get("content-length", "").isdecimal()
        and "transfer-encoding" not in headers
        and headers.get("connection", "keep-alive").lower() == "keep-alive"
    )
    return headers if is_plain else None


class _PlainAnswer:
    """A part of a file, of known length; `received` is what came of it with the head."""

    status = 206

    def __init__(
        self, connection: _Connection, wire: socket.socket, headers: Mapping[str, str], received: bytes
    ) -> None:
        self._connection = connection
        self._wire = wire
        self._headers = headers
        self._received = received
        self._left = int(headers["content-length"])

    def header(self, name: str) -> str | None:
        return self._headers.get(name.lower())

    def read_into(self, room: memoryview) -> int:
        count = min(len(room), self._left)
        if self._received:
            piece, self._received = self._received[:count], self._received[count:]
            room[: len(piece)] = piece
            given = len(piece)
        else:
            given = self._wire.recv_into(room, count) if count else 0
        self._left -= given
        return given

    def finish(self, *, is_read: bool) -> None:
        if not is_read or self._left or self._received:
            self._connection.close()


class _OtherAnswer:
    """Any other answer; the connection ends with it."""

    def __init__(self, connection: _Connection, wire: socket.socket, received: bytes) -> None:
        self._connection = connection
        self._response = http.client.HTTPResponse(cast("socket.socket", _Replayed(wire, received)), method="GET")
        self._response.begin()
        self.status = self._response.status

    def header(self, name: str) -> str | None:
        return self._response.headers.get(name)

    def read_into(self, room: memoryview) -> int:
        piece = self._response.read1(len(room))
        room[: len(piece)] = piece
        return len(piece)

    def finish(self, *, is_read: bool) -> None:  # noqa: ARG002 - there is nothing to keep
        self._response.close()
        self._connection.close()


class _Replayed(io.RawIOBase):
    """A socket from whose start some bytes were taken, as the standard library's parser wants it."""

    def __init__(self, wire: socket.socket, taken: bytes) -> None:
        self._wire = wire
        self._taken = taken

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, room: WriteableBuffer) -> int:
        view = memoryview(room)
        if not self._taken:
            return self._wire.recv_into(view)
        piece, self._taken = self._taken[: len(view)], self._taken[len(view) :]
        view[: len(piece)] = piece
        return len(piece)
