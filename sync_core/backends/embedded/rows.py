"""Between rows and the domain's values; no rules."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from sync_core.domain.batch import (
    Batch,
    BatchStatus,
    Counters,
    Item,
    ItemProgress,
    ItemStatus,
    Priority,
)
from sync_core.domain.micros import from_micros, micros_or_none, time_or_none, to_micros
from sync_core.jobs.ports.event_outbox import WebhookDelivery
from sync_core.jobs.stored_events import stored_delivery
from sync_core.jobs.stored_forms import request_of

_MUTABLE = (
    "status", "total", "next_item", "in_flight", "completed", "failed", "cancelled", "confidence_sum",
    "confidence_count", "parallel_jobs", "priority", "started_at", "ended_at", "webhook_url",
)  # fmt: skip
_COLUMNS = ("batch_id", "first_item", *_MUTABLE, "created_at", "description", "retry_of", "single")

INSERT_BATCH = f"INSERT INTO batches ({', '.join(_COLUMNS)}) VALUES ({', '.join(':' + c for c in _COLUMNS)})"  # noqa: S608
UPDATE_BATCH = f"UPDATE batches SET {', '.join(f'{c} = :{c}' for c in _MUTABLE)} WHERE batch_id = :batch_id"  # noqa: S608

INSERT_EVENT = """
INSERT INTO events (event_id, event_type, batch_id, webhook_url, created_at, payload, status, due_at)
VALUES (:event_id, :event_type, :batch_id, :webhook_url, :created_at, :payload, :status, :due_at)
"""
UPDATE_DELIVERY = """
UPDATE events
SET status = :status, due_at = :due_at, claimed_until = :claimed_until, tries = :tries, replays = :replays,
    attempts = :attempts, reason = :reason, version = version + 1
WHERE event_id = :event_id AND version = :version
"""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A batch with what locates its items: item `index` is row `first_item + index`."""

    batch_no: int
    first_item: int
    batch: Batch

    def item_no(self, index: int) -> int:
        return self.first_item + index


def batch_of(row: sqlite3.Row) -> Batch:
    return Batch(
        batch_id=row["batch_id"],
        status=BatchStatus(row["status"]),
        counters=_counters_of(row),
        parallel_jobs=row["parallel_jobs"],
        priority=Priority(row["priority"]),
        created_at=from_micros(row["created_at"]),
        description=row["description"],
        webhook_url=row["webhook_url"],
        started_at=time_or_none(row["started_at"]),
        ended_at=time_or_none(row["ended_at"]),
        retry_of=row["retry_of"],
        single=bool(row["single"]),
    )


def _counters_of(row: sqlite3.Row) -> Counters:
    return Counters(
        total=row["total"],
        next_item=row["next_item"],
        in_flight=row["in_flight"],
        completed=row["completed"],
        failed=row["failed"],
        cancelled=row["cancelled"],
        confidence_sum=row["confidence_sum"],
        confidence_count=row["confidence_count"],
    )


def mutable_values(batch: Batch) -> dict[str, object]:
    """Give the parameters of UPDATE_BATCH."""
    counters = batch.counters
    return {
        "batch_id": batch.batch_id,
        "status": batch.status.value,
        "total": counters.total,
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


def all_values(batch: Batch, first_item: int) -> dict[str, object]:
    """Give the parameters of INSERT_BATCH."""
    return {
        **mutable_values(batch),
        "first_item": first_item,
        "created_at": to_micros(batch.created_at),
        "description": batch.description,
        "retry_of": batch.retry_of,
        "single": batch.single,
    }


def item_of(row: sqlite3.Row, batch_id: str, first_item: int) -> Item:
    progress = ItemProgress(row["stage"], row["percent"]) if row["stage"] is not None else None
    return Item(
        batch_id=batch_id,
        index=row["item_no"] - first_item,
        request=request_of(row["request"]),
        status=ItemStatus(row["status"]),
        attempt=row["attempt"],
        fence=row["fence"],
        leased_by=row["leased_by"],
        lease_until=time_or_none(row["lease_until"]),
        progress=progress,
        analysis_id=row["analysis_id"],
        started_at=time_or_none(row["started_at"]),
        ended_at=time_or_none(row["ended_at"]),
        result=json.loads(row["result"]) if row["result"] is not None else None,
        error=row["error"],
        error_code=row["error_code"],
        report_key=row["report_key"],
        next_item=row["next_item"],
    )


def compact_json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


def delivery_values(delivery: WebhookDelivery) -> dict[str, object]:
    """Give the parameters of UPDATE_DELIVERY."""
    return {**stored_delivery(delivery), "event_id": delivery.event.event_id, "version": delivery.version}
