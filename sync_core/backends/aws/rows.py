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
    Item,
    ItemProgress,
    ItemRequest,
    ItemStatus,
    Priority,
)
from sync_core.domain.micros import from_micros, micros_or_none, time_or_none, to_micros
from sync_core.jobs.ports.event_outbox import Event, WebhookDelivery
from sync_core.jobs.stored_events import stored_delivery, stored_event
from sync_core.jobs.stored_forms import request_of, request_text


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
    """Give a new event's row."""
    stored = stored_event(event)
    return {**stored, "expires_at": expires_at, "version": 0, **_listed_if_due(stored)}


def delivery_changes(delivery: WebhookDelivery) -> Row:
    """Give the attributes of an event that its delivery moves."""
    stored = stored_delivery(delivery)
    return {**stored, "version": delivery.version + 1, **_listed_if_due(stored)}


def _listed_if_due(stored: Row) -> Row:
    """Put an event into the index of what is due, or take it out."""
    return {"due": None if stored["due_at"] is None else WEBHOOKS_DUE}
