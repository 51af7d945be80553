"""What both back ends store of an event and of its delivery, by the names of their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sync_core.domain.batch import EventType
from sync_core.domain.micros import from_micros, micros_or_none, time_or_none, to_micros
from sync_core.jobs.ports.event_outbox import Attempt, DeliveryStatus, Event, WebhookDelivery
from sync_core.jobs.stored_forms import storable


def stored_event(event: Event) -> dict[str, Any]:
    """Give a new event's fields; one with a receiver is due at once."""
    created_at = to_micros(event.created_at)
    has_receiver = event.webhook_url is not None
    return {
        "event_id": event.event_id,
        "event_type": event.event_type.value,
        "batch_id": event.batch_id,
        "webhook_url": event.webhook_url,
        "created_at": created_at,
        "payload": json.dumps(event.payload, separators=(",", ":")),
        "status": DeliveryStatus.PENDING.value if has_receiver else None,
        "due_at": created_at if has_receiver else None,
    }


def read_event(row: Mapping[str, Any]) -> Event:
    """Read an event; absent fields are None."""
    return Event(
        event_id=row["event_id"],
        event_type=EventType(row["event_type"]),
        batch_id=row["batch_id"],
        webhook_url=row.get("webhook_url"),
        created_at=from_micros(row["created_at"]),
        payload=json.loads(row["payload"]),
    )


def stored_delivery(delivery: WebhookDelivery) -> dict[str, Any]:
    """Give the fields that a delivery moves, but for the version, which each back end guards in its own way."""
    return {
        "status": delivery.status.value,
        "due_at": micros_or_none(delivery.next_attempt_at),
        "claimed_until": micros_or_none(delivery.claimed_until),
        "tries": delivery.tries,
        "replays": delivery.replays,
        "attempts": _attempts_text(delivery.attempts),
        "reason": storable(delivery.reason),
    }


def read_delivery(row: Mapping[str, Any]) -> WebhookDelivery:
    """Read an event with its delivery; one that nobody has touched yet has no attempts."""
    return WebhookDelivery(
        event=read_event(row),
        status=DeliveryStatus(row["status"]),
        attempts=_attempts_of(row.get("attempts", "[]")),
        tries=row.get("tries", 0),
        replays=row.get("replays", 0),
        next_attempt_at=time_or_none(row.get("due_at")),
        claimed_until=time_or_none(row.get("claimed_until")),
        reason=row.get("reason"),
        version=row["version"],
    )


def _attempts_text(attempts: Sequence[Attempt]) -> str:
    fields = [(to_micros(each.began_at), each.seconds, each.status_code, each.error) for each in attempts]
    return json.dumps(fields, separators=(",", ":"))


def _attempts_of(text: str) -> tuple[Attempt, ...]:
    return tuple(Attempt(from_micros(began_at), *others) for began_at, *others in json.loads(text))
