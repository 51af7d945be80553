"""The results of a batch as one document: what `/results`, the JSON report and `batch run` give."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime

from sync_core.domain.batch import Batch, Item, ItemStatus, visible_status
from sync_core.reports.chunks import chunked

_FIRST = ("offset_seconds", "confidence", "method_used", "analysis_id")
_SUMMARY = (*_FIRST, "verdict", "precision_seconds", "speed_ratio", "drift_ppm", "rate_label")


def timestamp(moment: datetime) -> str:
    """Write a time as the API does.

    Examples
    --------
    >>> timestamp(datetime(2025, 8, 28, 14, 6, 0, 123456, tzinfo=UTC))
    '2025-08-28T14:06:00Z'
    """
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def batch_summary(batch: Batch, now: datetime) -> dict[str, object]:
    """Give the figures of a batch; all are numbers, also before anything has ended.

    `processing_time_seconds` runs from the start to the end, or to `now` while the batch is running.
    """
    counters = batch.counters
    ended_at = batch.ended_at or now
    seconds = (ended_at - batch.started_at).total_seconds() if batch.started_at else 0.0
    return {
        "items_total": counters.total,
        "items_completed": counters.completed,
        "items_failed": counters.failed,
        "items_processing": counters.in_flight,
        "items_pending": counters.pending,
        "items_cancelled": counters.cancelled,
        "average_confidence": round(counters.average_confidence, 4),
        "processing_time_seconds": round(max(seconds, 0.0), 3),
    }


def download_links(batch_id: str) -> dict[str, str]:
    """Say where the reports of a batch are served."""
    return {"json_report": f"/api/v1/reports/{batch_id}.json", "csv_export": f"/api/v1/reports/{batch_id}.csv"}


def request_fields(item: Item) -> dict[str, object]:
    """Give what was asked for an item, under the names of the upload's columns."""
    request = item.request
    return {
        "master_file": request.master_file,
        "dub_file": request.dub_file,
        "methods": [method.value for method in request.methods],
        "ai_model": request.ai_model and request.ai_model.value,
        "description": request.description,
        "tags": list(request.tags),
    }


def result_fields(item: Item) -> dict[str, object] | None:
    """Give an item's whole result, its four best known fields first; None where it has none."""
    if item.result is None:
        return None
    first = _picked(item.result, _FIRST)
    return {**first, **{name: value for name, value in item.result.items() if name not in first}}


def result_summary(item: Item) -> dict[str, object] | None:
    """Give the part of an item's result that fits into a list; None where it has none."""
    return None if item.result is None else _picked(item.result, _SUMMARY)


def item_entry(item: Item, batch: Batch) -> dict[str, object]:
    """Give one item as the results list it; only an item that failed carries `error` and `error_code`."""
    status = visible_status(item, batch)
    entry = {
        "item_id": item.item_id,
        **request_fields(item),
        "status": status.value,
        "result": result_fields(item),
    }
    if status is ItemStatus.FAILED:
        entry |= {"error": item.error, "error_code": item.error_code}
    return entry


def stream_results_document(batch: Batch, items: AsyncIterator[Item], now: datetime) -> AsyncIterator[bytes]:
    """Write the results document piece by piece, so that a batch of any size takes the same memory.

    Parameters
    ----------
    batch
        Read before the items: its summary is of that moment, and a later end of an item may show in the list only.
    """
    return chunked(_document(batch, items, now))


async def _document(batch: Batch, items: AsyncIterator[Item], now: datetime) -> AsyncIterator[str]:
    head = {
        "success": True,
        "batch_id": batch.batch_id,
        "status": batch.status.value,
        "summary": batch_summary(batch, now),
    }
    yield _json(head)[:-1] + ', "results": ['
    separator = "\n"
    async for item in items:
        yield separator + _json(item_entry(item, batch))
        separator = ",\n"
    tail = {"download_links": download_links(batch.batch_id), "timestamp": timestamp(now)}
    yield "\n], " + _json(tail)[1:]


def _picked(result: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    return {name: result.get(name) for name in names}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
