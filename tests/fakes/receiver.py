"""A receiver of webhooks on 127.0.0.1 that misbehaves as it is told, and keeps what it was sent."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from standardwebhooks import Webhook


@dataclass(frozen=True)
class Received:
    """One request, as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> dict:
        """Check with the reference library that the bytes are signed with this secret; give what they say."""
        return Webhook(secret).verify(self.body, self.headers)


@dataclass(frozen=True)
class Reply:
    """What to answer, and how badly."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body_bytes: int = 0
    hang: bool = False
    cut: bool = False
    drip_seconds: float = 0.0
    """Pause between any two bytes of the answer."""


OK, HANG, CUT = Reply(), Reply(hang=True), Reply(cut=True)
Choice = Callable[[Received], Reply]


class Receiver:
    """Answers each request with the next of the replies it was given, and the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        self.requests: list[Received] = []
        self.sent_bytes = 0
        self.connections = 0
        self.choose: Choice = self._next
        self._replies = list(replies) or [OK]
        self._open: set[asyncio.Task] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def will(self, *replies: Reply) -> None:
        self._replies = list(replies)

    def _next(self, _request: Received) -> Reply:
        return self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=tls)
        self.port: int = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._open.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._answer(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await _read(reader)
        self.requests.append(request)
        reply = self.choose(request)
        if reply.hang:
            await asyncio.Event().wait()
        if reply.cut:
            writer.transport.abort()
            return
        head = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
        length = {"content-length": str(reply.body_bytes)} if reply.status != HTTPStatus.NO_CONTENT else {}
        head += [f"{name}: {value}" for name, value in {**length, **reply.headers}.items()]
        await self._write(writer, ("\r\n".join(head) + "\r\n\r\n").encode(), reply.drip_seconds)
        left = reply.body_bytes
        while left > 0:
            await self._write(writer, b"x" * min(left, 65536), 0.0)
            left -= 65536

    async def _write(self, writer: asyncio.StreamWriter, content: bytes, drip_seconds: float) -> None:
        pieces: Sequence[bytes] = [bytes([each]) for each in content] if drip_seconds else [content]
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            self.sent_bytes += len(piece)
            await asyncio.sleep(drip_seconds)


async def _read(reader: asyncio.StreamReader) -> Received:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _version = lines[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:]) if name}
    return Received(method, path, headers, await reader.readexactly(int(headers.get("content-length", "0"))))


@asynccontextmanager
async def receiving(*replies: Reply, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    receiver = Receiver(*replies)
    await receiver.start(tls)
    try:
        yield receiver
    finally:
        await receiver.stop()


@contextmanager
def receiving_in_thread(*replies: Reply) -> Iterator[Receiver]:
    """Run a receiver in a thread with an event loop of its own."""
    receiver, loop = Receiver(*replies), asyncio.new_event_loop()
    loop.run_until_complete(receiver.start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield receiver
    finally:
        asyncio.run_coroutine_threadsafe(receiver.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
