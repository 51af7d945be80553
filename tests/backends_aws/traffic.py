"""See and spoil the requests of a back end: hooks in its clients, before a request leaves and after its answer came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ReadTimeoutError

from sync_core.backends.aws.open import AwsBackend

Answer = tuple[SimpleNamespace, dict[str, Any]]


async def hook(backend: AwsBackend, event: str, handler: Callable[..., Any]) -> None:
    clients = backend.clients
    for client in (await clients.dynamodb(), await clients.sqs(), await clients.s3()):
        client.meta.events.register(event, handler)


class Ledger:
    """Counts answered requests by operation; receipts of nothing are counted apart."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.empty_receives = 0

    @classmethod
    async def of(cls, backend: AwsBackend) -> Ledger:
        ledger = cls()
        await hook(backend, "after-call", ledger.note)
        return ledger

    def note(self, *, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if model.name == "ReceiveMessage" and not parsed.get("Messages"):
            self.empty_receives += 1
        else:
            self.counts[model.name] += 1

    @property
    def total(self) -> int:
        return self.counts.total()


def refusal(code: str, *, status: int = 400, **more: Any) -> Answer:
    """Make the answer of a service that refuses."""
    parsed = {"Error": {"Code": code, "Message": "injected"}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return SimpleNamespace(status_code=status, injected=True), parsed


def conflict(writes: int) -> Answer:
    """Make the answer to a transaction that met another one; emulators never give it."""
    reasons = [{"Code": "TransactionConflict"}, *({"Code": "None"} for _ in range(writes - 1))]
    return refusal("TransactionCanceledException", CancellationReasons=reasons)


def lost() -> ReadTimeoutError:
    return ReadTimeoutError(endpoint_url="http://injected")


class OneFault:
    """Spoils one request of one operation: refuses it, or lets it through and loses the answer."""

    def __init__(self, operation: str, *, answer: Answer | None = None, times: int = 1) -> None:
        self.operation, self.answer, self.left = operation, answer, times
        self.spoilt = 0

    @classmethod
    async def on(cls, backend: AwsBackend, operation: str, *, answer: Answer | None = None, times: int = 1) -> OneFault:
        fault = cls(operation, answer=answer, times=times)
        await hook(backend, "before-call", fault.before)
        await hook(backend, "after-call", fault.after)
        return fault

    def before(self, *, model: Any, **_: Any) -> Answer | None:
        return self.answer if self.answer is not None and self._is_due(model) else None

    def after(self, *, model: Any, **_: Any) -> None:
        if self.answer is None and self._is_due(model):
            raise lost()

    def _is_due(self, model: Any) -> bool:
        due = model.name == self.operation and self.left > 0
        self.left -= due
        self.spoilt += due
        return due


class Storm:
    """Spoils requests at random: conflicts, throttling, 500s, lost answers, and batch requests done in part."""

    def __init__(self, seed: int, *, share: float) -> None:
        self._random, self._share = Random(seed), share
        self.spoilt: Counter[str] = Counter()

    async def over(self, backend: AwsBackend) -> None:
        await hook(backend, "before-call", self.before)
        await hook(backend, "after-call", self.after)

    def before(self, *, model: Any, **_: Any) -> Answer | None:
        if self._random.random() >= self._share:
            return None
        service, kinds = model.service_model.service_name, ["throttled", "failed"]
        if model.name in ("TransactWriteItems", "UpdateItem", "PutItem"):
            kinds.append("conflict")
        kind = self._random.choice(kinds)
        self.spoilt[kind] += 1
        if kind == "conflict":
            return conflict(2) if model.name == "TransactWriteItems" else refusal("TransactionConflictException")
        if kind == "throttled":
            return refusal(
                "SlowDown" if service == "s3" else "ThrottlingException", status=503 if service == "s3" else 400
            )
        return refusal("InternalServerError", status=500)

    def after(self, *, model: Any, parsed: dict[str, Any], http_response: Any, **_: Any) -> None:
        if hasattr(http_response, "injected") or self._random.random() >= self._share:
            return
        if model.name == "SendMessageBatch" and parsed.get("Successful"):
            self.spoilt["partial"] += 1
            entry = parsed["Successful"].pop()
            parsed.setdefault("Failed", []).append({"Id": entry["Id"], "Code": "InternalError", "SenderFault": False})
            return
        self.spoilt["lost"] += 1
        raise lost()
