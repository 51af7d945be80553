"""Which workers live, and what they can do. Entries expire when they are not renewed."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from sync_core.domain.worker import WorkerInfo


class WorkerRegistry(Protocol):
    async def announce(self, worker: WorkerInfo, *, ttl_seconds: float) -> None:
        """Register, or renew by `worker.seen_at`."""
        ...

    async def withdraw(self, worker_id: str) -> None:
        """Take a worker out, at its orderly end."""
        ...

    async def live(self, *, now: datetime) -> tuple[WorkerInfo, ...]:
        """List the workers whose entries have not expired, in order of their ids."""
        ...
