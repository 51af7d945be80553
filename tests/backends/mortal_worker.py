"""A worker process that the tests kill. Arguments: the data folder, a worker id, a file to note acknowledged ends in.

It works with the real use case and the real adapters on short leases, until nothing has come for a while.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Priority
from sync_core.domain.result import AnalysisResult
from sync_core.jobs.ports.analyzer import AnalysisRequest, Capabilities, OnProgress
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.process import AttemptPolicy, ItemProcessor, Outcome
from sync_core.jobs.sweep import Sweeper
from tests.fakes.analyzer import found

LEASE_SECONDS = 0.8
MORE_THAN_ANY_KILLS = 10_000
TASKS = 6


class QuickAnalyzer:
    capabilities = Capabilities("cpu", (), (), {})

    async def analyze(self, request: AnalysisRequest, on_progress: OnProgress) -> AnalysisResult:
        await asyncio.sleep(random.uniform(0.0, 0.2))
        return found(-2.456)

    async def close(self) -> None:
        pass


async def main(data_dir: Path, worker_id: str, notes: Path) -> None:
    backend = open_backend(data_dir, max_receives=MORE_THAN_ANY_KILLS)
    policy = AttemptPolicy(lease_seconds=LEASE_SECONDS, heartbeat_seconds=0.2, max_attempts=MORE_THAN_ANY_KILLS)
    clock = SystemClock()
    processor = ItemProcessor(
        worker_id, backend.batch_store, backend.work_queue, backend.report_store, QuickAnalyzer(), clock, policy
    )
    sweeper = Sweeper(backend.batch_store, backend.work_queue, backend.report_store, clock)
    noted = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def work() -> None:
        idle_since = clock.now()
        while (clock.now() - idle_since).total_seconds() < 3 * LEASE_SECONDS:
            delivery = await backend.work_queue.receive(
                tuple(Priority), visibility_seconds=LEASE_SECONDS, wait_seconds=0.2
            )
            if delivery is None:
                continue
            idle_since = clock.now()
            if await processor.process(delivery) is Outcome.SAVED:
                os.write(noted, f"{delivery.message.batch_id} {delivery.message.item_index}\n".encode())

    await asyncio.gather(sweeper.sweep(), *(work() for _ in range(TASKS)))
    await backend.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])))
