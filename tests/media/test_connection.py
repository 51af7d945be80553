"""Connections: who is asked for, and when they are used again."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator

import pytest

from sync_core.media.connection import Answer, Connections, Server
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
    assert taken(answer) == b"ok"


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
    content = taken(answer)
    answer.finish(is_read=True)
    return content


def taken(answer: Answer) -> bytes:
    """Read an answer's body to its end."""
    content, room = b"", bytearray(100)
    while count := answer.read_into(memoryview(room)):
        content += room[:count]
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


HEAD = b"HTTP/1.1 206 Partial Content\r\n"
ANSWERS = {
    "plain": HEAD + b"Content-Length: 2\r\n\r\nok",
    "odd names, empty values, bytes beyond ASCII": HEAD + b"x-Y_z:\r\nX:\tm\xfc\r\ncontent-LENGTH:2 \r\n\r\nok",
    "kept alive in so many words": HEAD + b"Connection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
    "the end of the connection is told": HEAD + b"Connection: close\r\nContent-Length: 2\r\n\r\nok",
    "in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
    "as long as the connection lasts": HEAD + b"X: y\r\n\r\nok",
    "a header on two lines": HEAD + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\nok",
    "announced by 100": b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 2\r\n\r\nok",
    "the old protocol": HEAD.replace(b"1.1", b"1.0") + b"Content-Length: 2\r\n\r\nok",
    "a long head": HEAD + b"X: y\r\n" * 1_000 + b"Content-Length: 2\r\n\r\nok",
}


@pytest.fixture
def speaker() -> Iterator[socket.socket]:
    """Listen on the loopback interface."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def say(speaker: socket.socket, answer: bytes, *, step: int) -> None:
    """Give one answer, so many bytes at a time."""
    caller, _ = speaker.accept()
    with caller, contextlib.suppress(ConnectionError):  # who has heard enough leaves
        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        caller.recv(4096)
        for at in range(0, len(answer), step):
            caller.sendall(answer[at : at + step])
            time.sleep(0.0001)


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_read_however_it_is_written(speaker: socket.socket, kind: str, step: int) -> None:
    if step == 1 and kind == "a long head":
        step = 100
    threading.Thread(target=say, args=(speaker, ANSWERS[kind]), kwargs={"step": step}, daemon=True).start()
    answer = Connections(Server("127.0.0.1", speaker.getsockname()[1], None)).get("/", {})
    assert answer.status == 206
    assert answer.header("X-Other") is None
    assert taken(answer) == b"ok"
    answer.finish(is_read=True)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9\r\n\r\n", b"HTTP/1.1 206", b"HTTP/1.1 206 -\r\n" + b"X" * 100_000]
)
def test_what_is_no_answer_is_an_error(speaker: socket.socket, answer: bytes) -> None:
    threading.Thread(target=say, args=(speaker, answer), kwargs={"step": 100_000}, daemon=True).start()
    with pytest.raises((http.client.HTTPException, OSError)):
        Connections(Server("127.0.0.1", speaker.getsockname()[1], None)).get("/", {})


def test_a_connection_whose_end_was_told_is_not_used_again(server: RangeServer) -> None:
    source = connections(server)
    server.refusal = lambda _request: (403, b"<Code>AccessDenied</Code>")
    refused = source.get("/media", {})
    assert (refused.status, taken(refused)) == (403, b"<Code>AccessDenied</Code>")
    refused.finish(is_read=True)
    fetch(source)
    assert server.connections == 2


@pytest.mark.parametrize(
    ("target", "etag"), [("/a b", "x"), ("/\u00fc", "x"), ("/a\r\nX: y", "x"), ("/a", "x\r\nX: y")]
)
def test_nothing_is_sent_that_would_be_another_request(target: str, etag: str) -> None:
    with pytest.raises(http.client.InvalidURL):
        Connections(Server("127.0.0.1", 1, None)).get(target, {"If-Match": etag})
