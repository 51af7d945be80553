"""Batches: upload, start, status, cancel, retry, list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body, File, Form, Query, UploadFile

from handlers.api import schemas, views
from handlers.api.dependencies import MAX_PAGE, BatchId, IdempotencyKey, ItemStart, PageLimit, Services
from sync_core.domain.batch import Priority, StartOptions
from sync_core.jobs.submit import BatchOptions, content_hash

router = APIRouter(prefix="/api/v1/analysis/batch", tags=["batches"])


@router.post("/upload-csv", form_limits={"max_files": 1, "max_fields": 20})
async def upload_csv(
    services: Services,
    file: Annotated[UploadFile, File(description="CSV with the columns master_file and dub_file at least.")],
    description: Annotated[str, Form(max_length=schemas.MAX_TEXT, examples=["Daily sync analysis batch"])] = "",
    priority: Annotated[Priority, Form()] = Priority.NORMAL,
    notification_webhook: Annotated[schemas.WebhookText | None, Form()] = None,
    idempotency_key: IdempotencyKey = None,
) -> schemas.UploadResponse:
    """Store a batch. All rows that cannot be used are reported at once, and then nothing is stored."""
    webhook_url = await services.webhooks.check(notification_webhook)
    options = BatchOptions(description, priority, webhook_url)
    submitted = await services.submit.upload(await file.read(), options, idempotency_key=idempotency_key)
    message = f"Batch uploaded successfully with {len(submitted.requests)} items"
    return views.uploaded(submitted, message)


@router.post("/{batch_id}/start")
async def start(
    services: Services,
    batch_id: BatchId,
    request: Annotated[schemas.StartRequest | None, Body()] = None,
    idempotency_key: IdempotencyKey = None,
) -> schemas.BatchMessage:
    """Start an uploaded batch."""
    asked = request or schemas.StartRequest()
    webhook_url = await services.webhooks.check(asked.notification_webhook)
    options = StartOptions(asked.parallel_jobs, asked.priority, webhook_url)
    batch = await services.start.start(
        batch_id, options, idempotency_key=idempotency_key, fingerprint=content_hash(b"", asdict(options))
    )
    message = f"Batch processing started with {batch.parallel_jobs} parallel jobs"
    return views.changed(batch, message, services.clock.now())


@router.get("/{batch_id}/status")
async def status(
    services: Services,
    batch_id: BatchId,
    item_start: ItemStart,
    include_details: Annotated[bool, Query(description="List the items too.")] = False,
    limit: PageLimit = MAX_PAGE,
) -> schemas.StatusResponse | schemas.DetailedStatusResponse:
    """Tell where a batch is."""
    batch = await services.store.get(batch_id)
    if not include_details:
        return views.status(batch, services.clock.now())
    items = await services.store.items(batch_id, start=item_start, limit=limit)
    return views.detailed_status(batch, items, services.clock.now())


@router.delete("/{batch_id}")
async def cancel(services: Services, batch_id: BatchId) -> schemas.BatchMessage:
    """Cancel a batch at once; what runs stops within seconds. Repeating it is harmless."""
    batch = await services.cancel.cancel(batch_id)
    return views.changed(batch, "Batch cancelled; items that are running stop shortly", services.clock.now())


@router.post("/{batch_id}/retry-failed")
async def retry_failed(
    services: Services, batch_id: BatchId, idempotency_key: IdempotencyKey = None
) -> schemas.UploadResponse:
    """Make a new batch of the failed items of an ended one; it is started like any other."""
    submitted = await services.submit.retry_failed(batch_id, idempotency_key=idempotency_key)
    message = f"New batch with the {len(submitted.requests)} failed items of {batch_id}; start it to run them"
    return views.uploaded(submitted, message)


@router.get("")
async def list_batches(
    services: Services,
    limit: PageLimit = 50,
    cursor: Annotated[str | None, Query(description="`next_cursor` of the page before.")] = None,
) -> schemas.BatchListResponse:
    """List batches, newest first."""
    page = await services.store.list_batches(limit=limit, cursor=cursor)
    return schemas.BatchListResponse(
        batches=[views.listed(batch) for batch in page.batches],
        next_cursor=page.cursor,
        timestamp=services.clock.now(),
    )
