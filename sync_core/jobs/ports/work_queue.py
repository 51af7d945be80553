"""Deliveries of items to workers, with the semantics of SQS: at least once, in no order that can be relied upon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sync_core.domain.batch import Priority


@dataclass(frozen=True, slots=True)
class Message:
    """Tells a worker that an item is to be done. The batch id is the message group.

    `trace` names the request that it comes from, as W3C's `traceparent` does; None where nothing is traced.
    """

    batch_id: str
    item_index: int
    priority: Priority
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receipt of a message. `receipt_handle` is good until the message is received again."""

    message: Message
    receipt_handle: str
    receive_count: int


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """Messages of one priority: waiting (delayed ones included), in flight, and dead."""

    waiting: int
    in_flight: int
    dead: int


class WorkQueue(Protocol):
    """One queue per priority, each with its dead letters.

    A message that was received more than `max_receives` times without being deleted moves to the dead letters.
    """

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0.0) -> None:
        """Enqueue; returns when all are stored, and may be repeated after an error (duplicates are harmless)."""
        ...

    async def receive(
        self, priorities: Sequence[Priority], *, visibility_seconds: float, wait_seconds: float = 0.0
    ) -> Delivery | None:
        """Receive one message and hide it for `visibility_seconds`.

        The queues are tried in the order given; when all are empty, waits up to `wait_seconds` for a message to arrive
        in any of them.
        """
        ...

    async def extend(self, delivery: Delivery, *, visibility_seconds: float) -> None:
        """Hide a received message for that long from now on; does nothing for a stale receipt handle."""
        ...

    async def delete(self, delivery: Delivery) -> None:
        """Acknowledge; does nothing for a stale receipt handle, so a redelivered message stays."""
        ...

    async def depth(self) -> Mapping[Priority, QueueDepth]:
        """Count messages per priority."""
        ...

    async def receive_dead(self, *, limit: int, visibility_seconds: float) -> tuple[Delivery, ...]:
        """Receive dead letters of any priority, for the sweeper; `delete` acknowledges them."""
        ...
