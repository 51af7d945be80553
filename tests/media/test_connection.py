"""Connections: who is asked for, and when they are used again."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading

import pytest

from sync_core.media.connection import Connections, Server
from tests.fakes.range_server import Fault, RangeServer, only

ANSWER = b"HTTP/1.1 206 -\r\nContent-Length: 2\r\n\r\nok"


class Wire:
    """A socket that keeps what is sent, and answers."""

    def __init__(self) -> None:
        self.sent = b""
        self._here, self._there = socket.socketpair()
        self._there.sendall(ANSWER)

    def __getattr__(self, name: str):
        return getattr(self._here, name)

    def sendall(self, content: bytes) -> None:
        self.sent += content

    def setsockopt(self, *_: object) -> None:
        pass


@pytest.mark.parametrize(
    ("host", "port", "is_tls", "header"),
    [
        ("studio.s3.amazonaws.com", 443, True, "studio.s3.amazonaws.com"),
        ("studio.s3.amazonaws.com", 8443, True, "studio.s3.amazonaws.com:8443"),
        ("localhost", 80, False, "localhost"),
        ("localhost", 4566, False, "localhost:4566"),
        ("2606:4700:4700::1111", 443, True, "[2606:4700:4700::1111]"),
    ],
)
def test_the_host_header_is_what_a_signature_expects(
    monkeypatch: pytest.MonkeyPatch, host: str, port: int, is_tls: bool, header: str
) -> None:
    wire, tls = Wire(), ssl.create_default_context()
    monkeypatch.setattr(socket, "create_connection", lambda _address, _timeout: wire)
    monkeypatch.setattr(tls.__class__, "wrap_socket", lambda _tls, plain, server_hostname: plain)
    answer = Connections(Server(host, port, tls if is_tls else None)).get("/key?x=%2F", {})
    assert wire.sent.startswith(b"GET /key?x=%2F HTTP/1.1\r\n")
    assert f"\r\nHost: {header}\r\n".encode() in wire.sent
    assert answer.read(10) == b"ok"


@pytest.fixture
def server(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with RangeServer() as running:
        running.serve(tmp_path / "file")
        yield running


def connections(server: RangeServer) -> Connections:
    return Connections(Server("127.0.0.1", server.port, None))


def fetch(source: Connections) -> bytes:
    answer = source.get("/media", {"Range": "bytes=2-4"})
    content = answer.read(100)
    answer.finish(is_read=True)
    return content


def test_a_connection_that_the_server_has_closed_is_made_anew(server: RangeServer) -> None:
    source = connections(server)
    fetch(source)
    server.fault = only(Fault.CUT_AT_ONCE, 1)
    assert fetch(source) == b"234"
    assert server.connections == 2


def test_a_fresh_connection_that_is_closed_at_once_is_no_answer(server: RangeServer) -> None:
    server.fault = only(Fault.CUT_AT_ONCE, 0)
    with pytest.raises(http.client.RemoteDisconnected):
        fetch(connections(server))


def test_each_thread_has_a_connection_of_its_own(server: RangeServer) -> None:
    source = connections(server)
    threads = [threading.Thread(target=lambda: [fetch(source) for _ in range(5)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.connections == 3


def test_an_answer_that_was_not_read_costs_its_connection(server: RangeServer) -> None:
    source = connections(server)
    source.get("/media", {"Range": "bytes=2-4"}).finish(is_read=False)
    assert fetch(source) == b"234"
    assert server.connections == 2
