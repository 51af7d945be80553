"""What the routes work with, and how it is put together from settings and a back end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from handlers.backends import open_configured
from handlers.settings import ApiSettings
from handlers.tracing import current_trace
from handlers.version import VERSION
from sync_core.jobs.await_analysis import AwaitAnalysis
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.batch_store import BatchStore
from sync_core.jobs.ports.clock import Clock, SystemClock
from sync_core.jobs.ports.work_queue import WorkQueue
from sync_core.jobs.ports.worker_registry import WorkerRegistry
from sync_core.jobs.start import CancelBatch, StartBatch
from sync_core.jobs.submit import AnalysePair, SubmitBatch
from sync_core.jobs.webhook_address import WebhookAddresses
from sync_core.jobs.webhook_log import WebhookLog


@dataclass(frozen=True, slots=True)
class ApiServices:
    """The use cases, and the ports that the routes read from."""

    backend: str
    version: str
    store: BatchStore
    queue: WorkQueue
    registry: WorkerRegistry
    clock: Clock
    limits: UploadLimits
    wait_max_seconds: float
    submit: SubmitBatch
    pair: AnalysePair
    wait: AwaitAnalysis
    start: StartBatch
    cancel: CancelBatch
    webhooks: WebhookAddresses
    webhook_log: WebhookLog


def build_services(settings: ApiSettings, backend: Backend, clock: Clock) -> ApiServices:
    """Wire the use cases to a back end."""
    store, keys = backend.batch_store, backend.idempotency_keys
    submit = SubmitBatch(store, keys, clock, settings.media_policy, settings.upload_limits)
    start = StartBatch(store, backend.work_queue, keys, clock, current_trace)
    return ApiServices(
        backend=settings.backend,
        version=VERSION,
        store=store,
        queue=backend.work_queue,
        registry=backend.worker_registry,
        clock=clock,
        limits=settings.upload_limits,
        wait_max_seconds=settings.wait_max_seconds,
        submit=submit,
        pair=AnalysePair(submit, start),
        wait=AwaitAnalysis(store, clock),
        start=start,
        cancel=CancelBatch(store, clock),
        webhooks=WebhookAddresses(settings.webhook_allow_private),
        webhook_log=WebhookLog(store, backend.event_outbox, keys, clock),
    )


@asynccontextmanager
async def open_services(settings: ApiSettings) -> AsyncIterator[ApiServices]:
    """Open the configured back end, and close it in the end.

    Raises
    ------
    ConfigurationError
        If it cannot be opened.
    """
    backend = open_configured(settings)
    try:
        yield build_services(settings, backend, SystemClock())
    finally:
        await backend.close()
