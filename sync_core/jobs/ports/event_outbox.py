"""Events for webhooks. They are recorded by the BatchStore, in the transaction of the change that they tell of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sync_core.domain.batch import Change, EventType


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a batch's state, to be told to `webhook_url`; `event_id` is stable over all deliveries."""

    event_id: str
    event_type: EventType
    batch_id: str
    webhook_url: str | None
    created_at: datetime
    payload: Mapping[str, object]


def event_of(change: Change, now: datetime) -> Event | None:
    """Make the event that tells of a change, or None if the batch's state has not changed.

    A batch has each type of event at most once, so its id and the type make the event's id.
    """
    if change.event is None:
        return None
    batch, counters = change.batch, change.batch.counters
    payload = {
        "event": change.event.value,
        "batch_id": batch.batch_id,
        "status": batch.status.value,
        "items_total": counters.total,
        "items_completed": counters.completed,
        "items_failed": counters.failed,
        "items_cancelled": counters.cancelled,
        "average_confidence": round(counters.average_confidence, 4),
        "timestamp": now.isoformat().replace("+00:00", "Z"),
    }
    event_id = f"evt_{batch.batch_id.removeprefix('batch_')}_{change.event.value.removeprefix('batch.')}"
    return Event(event_id, change.event, batch.batch_id, batch.webhook_url, now, payload)


class EventOutbox(Protocol):
    async def of_batch(self, batch_id: str) -> tuple[Event, ...]:
        """Read the events of a batch in the order in which they happened."""
        ...
