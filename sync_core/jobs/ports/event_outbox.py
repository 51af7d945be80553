"""Events for webhooks. They are recorded by the BatchStore, in the transaction of the change that they tell of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sync_core.domain.batch import EventType


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a batch's state, to be told to `webhook_url`; `event_id` is stable over all deliveries."""

    event_id: str
    event_type: EventType
    batch_id: str
    webhook_url: str | None
    created_at: datetime
    payload: Mapping[str, object]


class EventOutbox(Protocol):
    async def of_batch(self, batch_id: str) -> tuple[Event, ...]:
        """Read the events of a batch in the order in which they happened."""
        ...
