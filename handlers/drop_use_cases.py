"""The use cases of drop folders, wired to a back end and a drop store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from handlers.settings import UploadSettings
from sync_core.domain.batch import Batch, Item
from sync_core.jobs.drop import TakeDrop
from sync_core.jobs.drop_results import WriteDropResults
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.drop_store import DropStore
from sync_core.jobs.start import StartBatch
from sync_core.jobs.submit import SubmitBatch
from sync_core.jobs.webhook_address import WebhookAddresses
from sync_core.reports.results_csv import stream_results_csv
from sync_core.reports.results_document import stream_results_document


def build_take_drop(settings: UploadSettings, backend: Backend, files: DropStore, clock: Clock) -> TakeDrop:
    """Wire the use case that makes batches of what was dropped."""
    store, keys = backend.batch_store, backend.idempotency_keys
    submit = SubmitBatch(store, keys, clock, settings.media_policy, settings.upload_limits)
    start = StartBatch(store, backend.work_queue, keys, clock)
    return TakeDrop(files, submit, start, WebhookAddresses(settings.webhook_allow_private))


def build_drop_results(backend: Backend, files: DropStore, clock: Clock) -> WriteDropResults:
    """Wire the use case that writes results, as JSON and as CSV."""
    formats = {"json": _results_document, "csv": stream_results_csv}
    return WriteDropResults(files, backend.batch_store, clock, formats)


def _results_document(batch: Batch, items: AsyncIterator[Item]) -> AsyncIterator[bytes]:
    """Write the document as of the batch's end, so that writing it again gives the same bytes."""
    ended_at: datetime = batch.ended_at or batch.created_at
    return stream_results_document(batch, items, ended_at)
