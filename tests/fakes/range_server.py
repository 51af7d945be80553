"""An HTTP server that answers ranges of files, counts what that took, adds latency, and misbehaves where told to.

In a test it runs on a thread of the test's process; `python -m tests.fakes.range_server --help` runs it on its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import ssl
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import IO, Self

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


class Fault(StrEnum):
    """One way of answering badly."""

    ERROR_500 = "500"
    SLOW_DOWN = "503"
    TOO_MANY = "429"
    CUT = "cut"
    """The connection ends in the middle of the body."""
    CUT_AT_ONCE = "cut-at-once"
    """The connection ends before any answer."""
    SHORT = "short"
    """Fewer bytes than the answer's own length says, and the connection stays open."""
    PART = "part"
    """Half of what was asked for, honestly labelled."""
    SHIFTED = "shifted"
    """Another range than the one that was asked for, honestly labelled."""
    WHOLE = "whole"
    """200 with the whole file."""
    NOT_SATISFIABLE = "416"
    HANG = "hang"
    DRIP = "drip"
    """A byte every 50 ms."""
    CHANGED = "changed"
    """The same name, another ETag."""
    SHRUNK = "shrunk"
    """The same ETag, another length."""
    ENCODED = "encoded"
    REDIRECT = "302"
    GONE = "404"
    FORBIDDEN = "403"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came; `number` counts from 0, `stop` is exclusive, the query is the header `:query`."""

    number: int
    path: str
    start: int
    stop: int
    headers: Mapping[str, str]


@dataclass(slots=True)
class Served:
    """What lies at one path."""

    path: Path
    etag: str | None = '"v1"'

    @property
    def size(self) -> int:
        return self.path.stat().st_size


@dataclass
class RangeServer:
    """Serves `files`; use as a context manager. `requests` and `body_bytes` count what was asked and sent.

    `fault` may look at each request and name one; `refusal` gives status and body of an answer instead of the file.
    """

    files: dict[str, Served] = field(default_factory=dict)
    latency_seconds: float = 0.0
    fault: Callable[[Request], Fault | None] = lambda _request: None
    refusal: Callable[[Request], tuple[int, bytes] | None] = lambda _request: None
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[Request] = field(default_factory=list)
    body_bytes: int = 0
    connections: int = 0

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def serve(self, path: Path, name: str = "/media", etag: str | None = '"v1"') -> str:
        """Put a file at a path of the server, and give its address."""
        self.files[name] = Served(path, etag)
        return self.url(name)

    def url(self, name: str) -> str:
        scheme = "https" if self.tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}{name}"

    async def _run(self, ready: threading.Event) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve_connection, "127.0.0.1", self.port, ssl=self.tls, backlog=256)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._serve_request(await reader.readuntil(b"\r\n\r\n"), writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the client has left, or the server is being stopped
        finally:
            writer.close()

    async def _serve_request(self, head: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; tells whether the connection goes on."""
        line, *rest = head.decode("latin-1").split("\r\n")
        path, _, query = line.split(" ")[1].partition("?")
        headers = {name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in rest)}
        headers[":query"] = query
        if path == "/counts":
            await _send(writer, 200, json.dumps({"requests": len(self.requests), "bytes": self.body_bytes}).encode())
            return True
        served = self.files.get(path)
        asked = _RANGE.fullmatch(headers.get("range", ""))
        size = served.size if served else 0
        start = int(asked[1]) if asked else 0
        stop = min(int(asked[2]) + 1, size) if asked and asked[2] else size
        request = Request(len(self.requests), path, start, stop, headers)
        self.requests.append(request)
        await asyncio.sleep(self.latency_seconds)
        refused = self.refusal(request)
        if refused is not None:
            await _send(writer, *refused)
        elif served is None:
            await _send(writer, 404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            return await self._answer(_Answer(served, request, size), self.fault(request), writer)
        return True

    async def _answer(self, answer: _Answer, fault: Fault | None, writer: asyncio.StreamWriter) -> bool:
        match fault:
            case Fault.ERROR_500 | Fault.GONE | Fault.FORBIDDEN:
                await _send(writer, int(fault), b"<Error><Code>InternalError</Code></Error>")
            case Fault.SLOW_DOWN | Fault.TOO_MANY:
                await _send(writer, int(fault), b"<Error><Code>SlowDown</Code></Error>", retry_after="0")
            case Fault.REDIRECT:
                await _send(writer, 302, b"", location="http://169.254.169.254/latest/meta-data")
            case Fault.NOT_SATISFIABLE:
                await _send(writer, 416, b"", content_range=f"bytes */{answer.size}")
            case Fault.CUT_AT_ONCE:
                return False
            case Fault.HANG:
                await asyncio.sleep(3600)
            case _:
                return await self._send_file(answer.as_told(fault), fault, writer)
        return True

    async def _send_file(self, answer: _Answer, fault: Fault | None, writer: asyncio.StreamWriter) -> bool:
        request, (status, headers) = answer.request, answer.head(fault)
        if headers is None:
            await _send(writer, status, b"")
            return True
        head, length = _head(status, headers), request.stop - request.start
        length = length // 2 if fault in (Fault.CUT, Fault.SHORT) else length
        with answer.served.path.open("rb") as file:
            file.seek(request.start)
            if fault is Fault.DRIP:
                writer.write(head)
                await self._drip(writer, file, length)
            else:
                self.body_bytes += length
                writer.write(head + file.read(length))
                await writer.drain()
        if fault is Fault.SHORT:
            await asyncio.sleep(3600)
        return fault is not Fault.CUT

    async def _drip(self, writer: asyncio.StreamWriter, file: IO[bytes], length: int) -> None:
        for _ in range(length):
            self.body_bytes += 1
            writer.write(file.read(1))
            await writer.drain()
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a request is answered with, where it is answered with the file."""

    served: Served
    request: Request
    size: int

    def as_told(self, fault: Fault | None) -> _Answer:
        start, stop = self.request.start, self.request.stop
        match fault:
            case Fault.WHOLE:
                start, stop = 0, self.size
            case Fault.PART:
                stop = start + max((stop - start) // 2, 1)
            case Fault.SHIFTED:
                start, stop = max(start - 1, 0), max(stop - 1, 1)
        return replace(self, request=replace(self.request, start=start, stop=stop))

    def head(self, fault: Fault | None) -> tuple[int, dict[str, object] | None]:
        """Give status and headers; no headers for an answer without the file."""
        request = self.request
        etag = '"v2"' if fault is Fault.CHANGED else self.served.etag
        size = self.size - 1 if fault is Fault.SHRUNK else self.size
        expected = request.headers.get("if-match")
        if expected is not None and expected != etag:
            return 412, None
        ranged = "range" in request.headers and fault is not Fault.WHOLE
        if ranged and request.start >= self.size:
            return 416, None
        headers: dict[str, object] = {"content-length": request.stop - request.start}
        headers |= {"etag": etag} if etag else {}
        headers |= {"content-encoding": "gzip"} if fault is Fault.ENCODED else {}
        if ranged:
            headers["content-range"] = f"bytes {request.start}-{request.stop - 1}/{size}"
        return 206 if ranged else 200, headers


def _head(status: int, headers: Mapping[str, object]) -> bytes:
    lines = [f"HTTP/1.1 {status} -", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _send(writer: asyncio.StreamWriter, status: int, body: bytes, **headers: str) -> None:
    writer.write(_head(status, {"content-length": len(body), **headers}) + body)
    await writer.drain()


def at_random(rate: float, *faults: Fault, seed: int = 0) -> Callable[[Request], Fault | None]:
    """Choose a fault for so large a part of the requests."""
    rng = random.Random(seed)
    return lambda _request: rng.choice(faults) if rng.random() < rate else None


def only(fault: Fault, *numbers: int) -> Callable[[Request], Fault | None]:
    """Choose a fault for the requests with these numbers."""
    return lambda request: fault if request.number in numbers else None


def main() -> None:
    """Serve the files of a folder until standard input ends; prints the port."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-seconds", type=float, default=0.0)
    parser.add_argument("--fault-rate", type=float, default=0.0)
    arguments = parser.parse_args()
    fault = at_random(arguments.fault_rate, Fault.ERROR_500, Fault.CUT, Fault.CUT_AT_ONCE, Fault.SLOW_DOWN)
    with RangeServer(latency_seconds=arguments.latency_seconds, fault=fault) as server:
        for path in arguments.folder.iterdir():
            server.serve(path, f"/{path.name}")
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
