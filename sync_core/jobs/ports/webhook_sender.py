"""What brings an event to its receiver."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sync_core.jobs.ports.event_outbox import Event


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one attempt. `status_code` is None where there was no answer.

    `error` is None if, and only if, the receiver took the event; `retry_after_seconds` is what it asked for.
    """

    status_code: int | None = None
    error: str | None = None
    retry_after_seconds: float | None = None


class WebhookSender(Protocol):
    @property
    def obstacle(self) -> str | None:
        """Why nothing can be sent as things are set, and what to set; None if it can."""
        ...

    async def send(self, event: Event, *, now: datetime) -> Answer:
        """Try once, in bounded time. Whatever a receiver does is an answer, and never an error."""
        ...

    async def close(self) -> None: ...
