"""Events for webhooks. They are recorded by the BatchStore, in the transaction of the change that they tell of.

An event with a receiver is delivered: sent until the receiver takes it, or until there is no hope of that. Where its
delivery is stands beside the event; the rules are `jobs.webhook_rules`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sync_core.domain.batch import Change, EventType
from sync_core.domain.ids import analysis_id_of_single


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a batch's state, to be told to `webhook_url`; `event_id` is stable over all deliveries."""

    event_id: str
    event_type: EventType
    batch_id: str
    webhook_url: str | None
    created_at: datetime
    payload: Mapping[str, object]

    @property
    def body(self) -> bytes:
        """What is sent and signed: the same bytes at each attempt."""
        return json.dumps(self.payload, separators=(",", ":")).encode()


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    """It is sent, or sent again, at `next_attempt_at`."""
    DELIVERED = "delivered"
    """The receiver has answered 2xx."""
    GIVEN_UP = "given_up"
    """The last attempt of the schedule failed."""
    DISABLED = "disabled"
    """The receiver answered 410 to this event or to another one of the batch: it wants no more of them."""
    UNDELIVERABLE = "undeliverable"
    """Nothing can be sent as things are set; `reason` says what to set."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at sending; `error` is None where the receiver took the event."""

    began_at: datetime
    seconds: float
    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """Where the delivery of one event is.

    `attempts` are the latest ones, oldest first; `tries` counts those since the event was recorded or replayed.
    `claimed_until` is set while somebody sends it; once that has passed, it is due again. `version` grows with each
    change, and each change asks for the version that it was computed from.
    """

    event: Event
    status: DeliveryStatus
    attempts: tuple[Attempt, ...] = ()
    tries: int = 0
    replays: int = 0
    next_attempt_at: datetime | None = None
    claimed_until: datetime | None = None
    reason: str | None = None
    version: int = 0

    @property
    def webhook_url(self) -> str:
        """The receiver; events without one have no delivery."""
        return self.event.webhook_url or ""

    @property
    def is_new(self) -> bool:
        """Whether nobody has changed it since it was recorded."""
        return self.status is DeliveryStatus.PENDING and self.version == 0

    def is_claimed(self, now: datetime) -> bool:
        return self.claimed_until is not None and self.claimed_until > now


def event_of(change: Change, now: datetime) -> Event | None:
    """Make the event that tells of a change, or None if the batch's state has not changed.

    A batch has each type of event at most once, so its id and the type make the event's id. The payload has the form
    that Standard Webhooks recommends.
    """
    if change.event is None:
        return None
    batch, counters = change.batch, change.batch.counters
    payload = {
        "type": change.event.value,
        "timestamp": now.isoformat().replace("+00:00", "Z"),
        "data": {
            "batch_id": batch.batch_id,
            "analysis_id": analysis_id_of_single(batch.batch_id) if batch.single else None,
            "status": batch.status.value,
            "items_total": counters.total,
            "items_completed": counters.completed,
            "items_failed": counters.failed,
            "items_cancelled": counters.cancelled,
            "average_confidence": round(counters.average_confidence, 4),
        },
    }
    event_id = f"evt_{batch.batch_id.removeprefix('batch_')}_{change.event.value.removeprefix('batch.')}"
    return Event(event_id, change.event, batch.batch_id, batch.webhook_url, now, payload)


def batch_of_event(event_id: str) -> str:
    """Give the id of the batch that an event tells of; a text that is no event's id gives one that no batch has."""
    return f"batch_{event_id.removeprefix('evt_').rpartition('_')[0]}"


class EventOutbox(Protocol):
    """The events, and where their deliveries are. An event with a receiver is recorded as pending, and due at once."""

    async def of_batch(self, batch_id: str) -> tuple[Event, ...]:
        """Read the events of a batch in the order in which they happened."""
        ...

    async def deliveries(self, batch_id: str) -> tuple[WebhookDelivery, ...]:
        """Read the deliveries of a batch's events, in the events' order; those without a receiver have none."""
        ...

    async def due(
        self, *, now: datetime, limit: int, is_wanted: Callable[[str], bool] = lambda _url: True
    ) -> tuple[WebhookDelivery, ...]:
        """Find up to `limit` pending deliveries whose time has come, longest due first.

        Those that are claimed are not due. `is_wanted` is asked once for the receiver of each that is found, in order;
        what it doesn't want is passed over.
        """
        ...

    async def save(self, delivery: WebhookDelivery) -> WebhookDelivery | None:
        """Store a delivery that was computed from its `version`, and give it as stored, under the next version.

        None, storing nothing, if somebody else has changed it since.
        """
        ...
