"""Around every request: its id, its log line, its size limit, and an answer where the code failed."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from handlers.api.errors import internal_error
from handlers.metrics import REQUESTS

log = logging.getLogger(__name__)
access_log = logging.getLogger("sync_analyzer.access")

_FORM_OVERHEAD_BYTES = 64 * 1024  # boundaries and the other fields of an upload
_REQUEST_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class RequestContext:
    """Give each request an id, answer 500 in the documented shape, and write the access log."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        answer = _Answer(send, request_id)
        began = time.perf_counter()
        try:
            await self.app(scope, receive, answer.send)
        except Exception:
            log.exception("a bug while answering", extra={"request_id": request_id})
            if answer.status is not None:
                raise
            await internal_error(Request(scope))(scope, receive, answer.send)
        finally:
            seconds = time.perf_counter() - began
            REQUESTS.labels(_route(scope), str(answer.status)).observe(seconds)
            _log_access(scope, answer.status, seconds, request_id)


class _Answer:
    """Passes an answer on, with the request's id in its headers, and remembers its status."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-ID"] = self._request_id
        await self._send(message)


class BodyLimit:
    """Stop reading a request once it is larger than any good one; bytes are counted, not kept."""

    def __init__(self, app: ASGIApp, max_file_bytes: Callable[[], int]) -> None:
        self.app = app
        self.max_file_bytes = max_file_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        max_file_bytes = self.max_file_bytes()
        limit = max_file_bytes + _FORM_OVERHEAD_BYTES
        announced = Headers(scope=scope).get("content-length", "")
        seen = int(announced) if announced.isdecimal() and int(announced) > limit else 0

        async def counted() -> Message:
            nonlocal seen
            if seen > limit:
                raise _too_large(max_file_bytes)
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise _too_large(max_file_bytes)
            return message

        await self.app(scope, counted, send)


def _too_large(max_file_bytes: int) -> HTTPException:
    """Make an error that FastAPI lets through from the reading of a body as it is."""
    return HTTPException(413, f"The request is too large; a file may have at most {max_file_bytes:,} bytes. Split it.")


def _request_id(headers: Headers) -> str:
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _route(scope: Scope) -> str:
    """Give the route's pattern, of which there are few; addresses that lead nowhere count as one."""
    return str(getattr(scope.get("route"), "path", "none"))


def _log_access(scope: Scope, status: int | None, seconds: float, request_id: str) -> None:
    fields = {
        "method": scope["method"],
        "path": quote(scope["path"]),  # a decoded path may hold line breaks
        "status": status,
        "ms": round(1000 * seconds, 1),
        "request_id": request_id,
    }
    access_log.info("request", extra=fields)
