"""An HTTP proxy before an AWS emulator that does to requests what AWS may do and emulators never do.

It refuses with TransactionConflict, throttling and 500s, takes batch requests in part, and carries requests out whose
answer it then loses. Which ones is drawn at random, from a seed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random

import aiohttp
from aiohttp import web

from tests.soak.requests import Ledger, operation_of

_WRITES = ("TransactWriteItems", "UpdateItem", "PutItem")
_PER_CONNECTION = {"connection", "content-length", "keep-alive", "transfer-encoding"}
_DYNAMODB, _SQS = "com.amazonaws.dynamodb.v20120810#", "com.amazonaws.sqs#"


@dataclass(frozen=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes
    headers: dict[str, str]


class FaultProxy:
    """Passes requests on to `target`; spoils the given share of them."""

    def __init__(self, target: str, *, seed: int, share: float) -> None:
        self._target, self._random, self._share = target, Random(seed), share
        self.spoilt: Counter[str] = Counter()
        self.ledger = Ledger()
        self.url = ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen at a free port of 127.0.0.1."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._out:
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            assert site._server
            self.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
            try:
                yield
            finally:
                await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        operation = operation_of(request.method, request.headers, request.path)
        try:
            body = await request.read()
        except ConnectionResetError:  # who sent it has been killed
            return web.Response(status=400)
        fault = self._draw(operation)
        if refusal := _refusals(operation, body).get(fault):
            self.ledger.note_fault(operation, body, request.path)
            return _response(refusal)
        answer = await self._forward(request, body)
        if fault == "lost":
            self.ledger.note_fault(operation, body, request.path)
            assert request.transport
            request.transport.abort()
        elif fault == "partial":
            answer = _without_one(answer)
            self.ledger.note_fault(operation, body, request.path)
        else:
            self.ledger.note(operation, body, request.path, answer.status, answer.body)
        return _response(answer)

    def _draw(self, operation: str) -> str:
        """Draw the fault of a request, or none."""
        if self._random.random() >= self._share:
            return ""
        kinds = ["throttled", "failed", "lost"]
        kinds += ["conflict"] if operation in _WRITES else []
        kinds += ["partial"] if operation == "SendMessageBatch" else []
        kind = self._random.choice(kinds)
        self.spoilt[kind] += 1
        return kind

    async def _forward(self, request: web.Request, body: bytes) -> Answer:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _PER_CONNECTION}
        url = self._target + request.raw_path
        async with self._out.request(request.method, url, data=body, headers=headers, allow_redirects=False) as found:
            kept = {name: value for name, value in found.headers.items() if name.lower() not in _PER_CONNECTION}
            return Answer(found.status, await found.read(), kept)


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


def _refusals(operation: str, body: bytes) -> dict[str, Answer]:
    """Give the service's own words for each kind of refusal."""
    if operation.endswith("Object") or operation.startswith("S3"):
        return {"throttled": _xml(503, "SlowDown"), "failed": _xml(500, "InternalError")}
    if operation in ("ReceiveMessage", "SendMessageBatch", "DeleteMessage", "ChangeMessageVisibility"):
        return {"throttled": _json(400, _SQS + "RequestThrottled"), "failed": _json(500, _SQS + "InternalError")}
    return {
        "throttled": _json(400, _DYNAMODB + "ThrottlingException"),
        "failed": _json(500, _DYNAMODB + "InternalServerError"),
        "conflict": _conflict(body)
        if operation == "TransactWriteItems"
        else _json(400, _DYNAMODB + "TransactionConflictException"),
    }


def _conflict(body: bytes) -> Answer:
    reasons = [{"Code": "None"} for _ in json.loads(body)["TransactItems"]]
    return _json(
        400,
        _DYNAMODB + "TransactionCanceledException",
        CancellationReasons=[*reasons[1:], {"Code": "TransactionConflict"}],
    )


def _json(status: int, kind: str, **more: object) -> Answer:
    body = json.dumps({"__type": kind, "message": "injected", **more}).encode()
    return Answer(status, body, {"content-type": "application/x-amz-json-1.0"})


def _xml(status: int, code: str) -> Answer:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>injected</Message></Error>"
    return Answer(status, body.encode(), {"content-type": "application/xml"})


def _without_one(answer: Answer) -> Answer:
    """Say of the last message that SQS took that it did not take it."""
    told = json.loads(answer.body)
    entry = told["Successful"].pop()
    told.setdefault("Failed", []).append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
    return Answer(answer.status, json.dumps(told).encode(), answer.headers)
