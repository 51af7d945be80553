"""All the ports that one back end fills, as composition hands them on."""

from __future__ import annotations

from typing import Protocol

from sync_core.jobs.ports.batch_store import BatchStore
from sync_core.jobs.ports.event_outbox import EventOutbox
from sync_core.jobs.ports.idempotency_keys import IdempotencyKeys
from sync_core.jobs.ports.report_store import ReportStore
from sync_core.jobs.ports.work_queue import WorkQueue
from sync_core.jobs.ports.worker_registry import WorkerRegistry


class Backend(Protocol):
    """One back end, opened; whoever opened it closes it."""

    @property
    def batch_store(self) -> BatchStore: ...
    @property
    def work_queue(self) -> WorkQueue: ...
    @property
    def report_store(self) -> ReportStore: ...
    @property
    def event_outbox(self) -> EventOutbox: ...
    @property
    def worker_registry(self) -> WorkerRegistry: ...
    @property
    def idempotency_keys(self) -> IdempotencyKeys: ...

    async def close(self) -> None: ...
