"""Connections to one server over HTTP/1.1: one for each thread that asks, used again as long as it lasts.

The standard library's client, because the time per request counts: with another one, fetching took so much of the
interpreter's lock from decoding that reading over HTTP was half as fast again.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""The longest waits for a connection, and for the next bytes."""
_WAS_CLOSED = (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError)
"""What using a connection again gives that the server has closed meanwhile."""


@dataclass(frozen=True, slots=True)
class Server:
    """Whom to connect to: the host is whom to expect there, the address where to go."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    address: str | None = None
    """None: wherever the host's name leads."""


class Answer:
    """The head of an answer, and its body to be read."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._response = response
        self.status = response.status

    def header(self, name: str) -> str | None:
        return self._response.headers.get(name)

    def read(self, count: int) -> bytes:
        """Give what has arrived of the body, at most `count` bytes; none at its end."""
        return self._response.read1(count)

    def finish(self, *, is_read: bool) -> None:
        """Give the connection back, for another request if the body was read to its end."""
        if is_read:
            self._response.read()
        else:
            self._connection.close()


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
        is_used_again = connection.sock is not None
        try:
            return _sent(connection, target, headers)
        except _WAS_CLOSED:
            if not is_used_again:
                raise
            return _sent(connection, target, headers)

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


def _sent(connection: _Connection, target: str, headers: Mapping[str, str]) -> Answer:
    try:
        connection.request("GET", target, headers=dict(headers))
        return Answer(connection, connection.getresponse())
    except BaseException:
        connection.close()
        raise


class _Connection(http.client.HTTPConnection):
    def __init__(self, server: Server) -> None:
        super().__init__(server.host, server.port)
        self._server = server
        self.default_port = 443 if server.tls else 80  # which the Host header leaves out, as signatures expect

    def connect(self) -> None:
        """Connect to the address, and have the server prove that it is the host."""
        server = self._server
        plain = socket.create_connection((server.address or server.host, server.port), CONNECT_SECONDS)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = server.tls.wrap_socket(plain, server_hostname=server.host) if server.tls else plain
        except BaseException:
            plain.close()
            raise
        self.sock.settimeout(READ_SECONDS)
