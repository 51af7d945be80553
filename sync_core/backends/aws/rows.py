"""Between rows and the domain's values; no rules."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sync_core.backends.aws.keys import LISTED, WEBHOOKS_DUE, Key, item_of_key, listed_at
from sync_core.backends.aws.wire import Row
from sync_core.domain.batch import (
    Batch,
    BatchStatus,
    Change,
    Counters,
    EventType,
    Item,
    ItemProgress,
    ItemRequest,
    ItemStatus,
    Priority,
)
from sync_core.domain.micros import from_micros, micros_or_none, time_or_none, to_micros
from sync_core.jobs.ports.event_outbox import DeliveryStatus, Event, WebhookDelivery
from sync_core.jobs.stored_forms import attempts_of, attempts_text, request_of, request_text, storable


@dataclass(frozen=True, slots=True)
class Meta:
    """The META row: a batch, and what guards and finds it.

    `version` grows with each change of the row, and each change asks for the version that it was computed from.
    `in_flight` are the indexes of the items that are claimed and not ended.
    """

    batch: Batch
    version: int
    in_flight: tuple[int, ...]
    expires_at: int

    def after(self, change: Change, *, ended: tuple[int, ...] = ()) -> Meta:
        """Give the row as it is after a change."""
        left = tuple(index for index in self.in_flight if index not in ended)
        return replace(self, batch=change.batch, version=self.version + 1, in_flight=left + change.claimed)


def meta_of(row: Row) -> Meta:
    return Meta(_batch_of(row), row["version"], row.get("in_flight_items", ()), row["expires_at"])


def _batch_of(row: Row) -> Batch:
    return Batch(
        batch_id=row["batch_id"],
        status=BatchStatus(row["status"]),
        counters=_counters_of(row),
        parallel_jobs=row["parallel_jobs"],
        priority=Priority(row["priority"]),
        created_at=from_micros(row["created_at"]),
        description=row["description"],
        webhook_url=row.get("webhook_url"),
        started_at=time_or_none(row.get("started_at")),
        ended_at=time_or_none(row.get("ended_at")),
        retry_of=row.get("retry_of"),
        single=row["single"],
    )


def _counters_of(row: Row) -> Counters:
    return Counters(
        total=row["total"],
        next_item=row["next_item"],
        in_flight=row["in_flight"],
        completed=row["completed"],
        failed=row["failed"],
        cancelled=row["cancelled"],
        confidence_sum=float(row["confidence_sum"]),
        confidence_count=row["confidence_count"],
    )


def meta_changes(meta: Meta) -> Row:
    """Give the attributes of META that changes of the batch move."""
    batch, counters = meta.batch, meta.batch.counters
    return {
        "version": meta.version,
        "in_flight_items": meta.in_flight or None,
        "status": batch.status.value,
        "next_item": counters.next_item,
        "in_flight": counters.in_flight,
        "completed": counters.completed,
        "failed": counters.failed,
        "cancelled": counters.cancelled,
        "confidence_sum": counters.confidence_sum,
        "confidence_count": counters.confidence_count,
        "parallel_jobs": batch.parallel_jobs,
        "priority": batch.priority.value,
        "started_at": micros_or_none(batch.started_at),
        "ended_at": micros_or_none(batch.ended_at),
        "webhook_url": batch.webhook_url,
    }


def meta_row(meta: Meta) -> Row:
    """Give a new META row; that of a single batch is not listed."""
    batch, created_at = meta.batch, to_micros(meta.batch.created_at)
    return {
        **meta_changes(meta),
        "batch_id": batch.batch_id,
        "total": batch.counters.total,
        "created_at": created_at,
        "description": batch.description,
        "retry_of": batch.retry_of,
        "single": batch.single,
        "expires_at": meta.expires_at,
        "listed": None if batch.single else LISTED,
        "listed_at": None if batch.single else listed_at(created_at, batch.batch_id),
    }


def new_item_row(request: ItemRequest, *, analysis_id: str | None, expires_at: int) -> Row:
    return {
        "request": request_text(request),
        "status": ItemStatus.PENDING.value,
        "attempt": 0,
        "fence": 0,
        "analysis_id": analysis_id,
        "expires_at": expires_at,
    }


def item_of(row: Row) -> Item:
    batch_id, index = item_of_key(Key(row["pk"], row["sk"]))
    return Item(
        batch_id=batch_id,
        index=index,
        request=request_of(row["request"]),
        status=ItemStatus(row["status"]),
        attempt=row["attempt"],
        fence=row["fence"],
        leased_by=row.get("leased_by"),
        lease_until=time_or_none(row.get("lease_until")),
        progress=ItemProgress(row["stage"], float(row["percent"])) if "stage" in row else None,
        analysis_id=row.get("analysis_id"),
        started_at=time_or_none(row.get("started_at")),
        ended_at=time_or_none(row.get("ended_at")),
        result=_unpacked(row["result"]) if "result" in row else None,
        error=row.get("error"),
        error_code=row.get("error_code"),
        report_key=row.get("report_key"),
        next_item=row.get("next_item"),
    )


def packed(document: Mapping[str, object] | None) -> bytes | None:
    """Give a result's stored form: compressed, because DynamoDB bills by the kilobyte and ends at 400 of them."""
    return None if document is None else zlib.compress(json.dumps(document, separators=(",", ":")).encode())


def _unpacked(content: bytes) -> Mapping[str, object]:
    document: Mapping[str, object] = json.loads(zlib.decompress(content))
    return document


def event_row(event: Event, *, expires_at: int) -> Row:
    """Give a new event's row; one with a receiver is due at once."""
    created_at = to_micros(event.created_at)
    has_receiver = event.webhook_url is not None
    return {
        "event_id": event.event_id,
        "event_type": event.event_type.value,
        "batch_id": event.batch_id,
        "webhook_url": event.webhook_url,
        "created_at": created_at,
        "payload": json.dumps(event.payload, separators=(",", ":")),
        "expires_at": expires_at,
        "version": 0,
        "status": DeliveryStatus.PENDING.value if has_receiver else None,
        "due": WEBHOOKS_DUE if has_receiver else None,
        "due_at": created_at if has_receiver else None,
    }


def event_of_row(row: Row) -> Event:
    return Event(
        event_id=row["event_id"],
        event_type=EventType(row["event_type"]),
        batch_id=row["batch_id"],
        webhook_url=row.get("webhook_url"),
        created_at=from_micros(row["created_at"]),
        payload=json.loads(row["payload"]),
    )


def delivery_changes(delivery: WebhookDelivery) -> Row:
    """Give the attributes of an event that its delivery moves."""
    is_due = delivery.next_attempt_at is not None
    return {
        "version": delivery.version + 1,
        "status": delivery.status.value,
        "due": WEBHOOKS_DUE if is_due else None,
        "due_at": micros_or_none(delivery.next_attempt_at),
        "claimed_until": micros_or_none(delivery.claimed_until),
        "tries": delivery.tries,
        "replays": delivery.replays,
        "attempts": attempts_text(delivery.attempts),
        "reason": storable(delivery.reason),
    }


def delivery_of(row: Row) -> WebhookDelivery:
    return WebhookDelivery(
        event=event_of_row(row),
        status=DeliveryStatus(row["status"]),
        attempts=attempts_of(row.get("attempts", "[]")),
        tries=row.get("tries", 0),
        replays=row.get("replays", 0),
        next_attempt_at=time_or_none(row.get("due_at")),
        claimed_until=time_or_none(row.get("claimed_until")),
        reason=row.get("reason"),
        version=row["version"],
    )
