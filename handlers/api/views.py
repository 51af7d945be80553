"""Translate batches and items into the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from handlers.api import schemas
from sync_core.domain.batch import Batch, Item, ItemStatus, estimated_completion, visible_status
from sync_core.domain.result import AnalysisStage
from sync_core.jobs.ports.event_outbox import WebhookDelivery
from sync_core.jobs.submit import Submitted
from sync_core.reports.results_document import request_fields, result_fields, result_summary

MAX_LISTED_ITEMS = 1_000


def uploaded(submitted: Submitted, message: str) -> schemas.UploadResponse:
    """Describe a stored batch as it was when it was stored, so that a repeated request gets the same answer."""
    batch, requests = submitted.batch, submitted.requests
    items = [Item(batch.batch_id, index, request) for index, request in enumerate(requests[:MAX_LISTED_ITEMS])]
    return schemas.UploadResponse(
        batch_id=batch.batch_id,
        items_count=len(requests),
        items=[
            schemas.UploadedItem.model_validate(
                {"item_id": item.item_id, **request_fields(item), "status": ItemStatus.PENDING}
            )
            for item in items
        ],
        items_truncated=len(requests) > len(items),
        ignored_columns=list(submitted.ignored_columns),
        retry_of=batch.retry_of,
        message=message,
        timestamp=batch.created_at,
    )


def figures(batch: Batch) -> dict[str, object]:
    """Give the fields of BatchFigures."""
    counters = batch.counters
    return {
        "batch_id": batch.batch_id,
        "status": batch.status,
        "progress": batch.progress_percent,
        "items_total": counters.total,
        "items_completed": counters.completed,
        "items_processing": counters.in_flight,
        "items_failed": counters.failed,
        "items_pending": counters.pending,
        "items_cancelled": counters.cancelled,
    }


def changed(batch: Batch, message: str, now: datetime) -> schemas.BatchMessage:
    return schemas.BatchMessage.model_validate(
        {
            **figures(batch),
            "estimated_completion": estimated_completion(batch, now),
            "message": message,
            "timestamp": now,
        }
    )


def status(batch: Batch, now: datetime) -> schemas.StatusResponse:
    return schemas.StatusResponse.model_validate(
        {**figures(batch), "estimated_completion": estimated_completion(batch, now), "timestamp": now}
    )


def detailed_status(batch: Batch, items: Sequence[Item], now: datetime) -> schemas.DetailedStatusResponse:
    """Describe a batch with a page of its items; `items` are consecutive."""
    after = items[-1].index + 1 if items else batch.counters.total
    return schemas.DetailedStatusResponse.model_validate(
        {
            **figures(batch),
            "items_details": [item_detail(item, batch) for item in items],
            "next_cursor": str(after) if after < batch.counters.total else None,
            "estimated_completion": estimated_completion(batch, now),
            "timestamp": now,
        }
    )


def item_detail(item: Item, batch: Batch) -> dict[str, object]:
    """Give what an item's state has to tell, and nothing else."""
    shown = visible_status(item, batch)
    told: dict[str, object] = {}
    if shown is ItemStatus.COMPLETED:
        told = {"result": result_summary(item)}
    elif shown is ItemStatus.FAILED:
        told = {"result": None, "error": item.error, "error_code": item.error_code}
    elif shown is ItemStatus.PROCESSING:
        told = _progress(item)
    return {"item_id": item.item_id, "status": shown, **told}


def _progress(item: Item) -> dict[str, object]:
    if item.progress is None:
        return {"stage": AnalysisStage.QUEUED.value, "percent": 0.0}
    return {"stage": item.progress.stage, "percent": item.progress.percent}


def listed(batch: Batch) -> schemas.BatchListEntry:
    return schemas.BatchListEntry.model_validate(
        {
            **figures(batch),
            "description": batch.description,
            "priority": batch.priority,
            "parallel_jobs": batch.parallel_jobs,
            "created_at": batch.created_at,
            "started_at": batch.started_at,
            "ended_at": batch.ended_at,
            "retry_of": batch.retry_of,
        }
    )


def analysis_url(analysis_id: str) -> str:
    """Say where an analysis is looked at."""
    return f"/api/v1/analysis/{analysis_id}"


def analysis(analysis_id: str, batch: Batch, item: Item, now: datetime) -> schemas.AnalysisResponse:
    shown = visible_status(item, batch)
    progress = _progress(item) if shown is ItemStatus.PROCESSING else {"stage": None, "percent": None}
    return schemas.AnalysisResponse.model_validate(
        {
            "analysis_id": analysis_id,
            "batch_id": batch.batch_id,
            "item_id": item.item_id,
            "status": shown,
            **request_fields(item),
            **progress,
            "result": result_fields(item),
            "error": item.error,
            "error_code": item.error_code,
            "status_url": analysis_url(analysis_id),
            "timestamp": now,
        }
    )


def delivery(delivery: WebhookDelivery) -> schemas.Delivery:
    event = delivery.event
    attempts = [schemas.DeliveryAttempt.model_validate(each, from_attributes=True) for each in delivery.attempts]
    return schemas.Delivery(
        event_id=event.event_id,
        event_type=event.event_type,
        batch_id=event.batch_id,
        webhook_url=delivery.webhook_url,
        status=delivery.status,
        reason=delivery.reason,
        created_at=event.created_at,
        next_attempt_at=delivery.next_attempt_at,
        replays=delivery.replays,
        attempts=attempts,
        payload=dict(event.payload),
    )
