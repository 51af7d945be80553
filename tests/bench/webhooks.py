"""Whether batches are slowed by being told of to a receiver that fails, hangs, redirects and answers 429."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.start import StartBatch
from sync_core.jobs.webhook_secrets import new_secret
from tests.bench.processes import cpu_seconds, running, tree
from tests.bench.report import Figure, Section, at_most
from tests.bench.service import serving, wait_for_workers
from tests.fakes.receiver import HANG, Choice, Received, Reply, receiving_in_thread

ROUNDS = 50
BATCHES_PER_ROUND = 20
ITEM_SECONDS = 0.25
SLOTS = 8
LIMIT_SECONDS = 120.0
_POLL_SECONDS = 0.1
_HOW = (
    f"Two services (`sync-analyzer serve`) on the embedded back end, each with a worker of {SLOTS} slots whose items "
    f"take {ITEM_SECONDS:g} s. In turns, one does {BATCHES_PER_ROUND} batches of one item without webhooks, the other "
    f"as many whose webhooks go to a receiver that answers 500, 302 or 429, or not within the second that an attempt "
    f"may take; {ROUNDS} rounds of both, and whichever is not in turn is stopped. Of each round, the time from the "
    f"first batch's start to the last one's end; of each pair of rounds, how much longer the one with webhooks took."
)


@dataclass(frozen=True)
class Site:
    """A running service, and a way to its data."""

    pids: tuple[int, ...]
    data_dir: Path

    def halt(self) -> None:
        for process in self._processes():
            process.suspend()

    def go_on(self) -> None:
        for process in self._processes():
            process.resume()

    def sender_cpu_seconds(self) -> float:
        return sum(cpu_seconds(process.pid) for process in self._processes() if "webhooks" in process.cmdline())

    def _processes(self) -> list[psutil.Process]:
        return [process for pid in self.pids for process in tree(pid)]


def measure() -> Section:
    """Do the rounds, in an order that favours neither."""
    os.nice(5)  # the receiver, which is here, would not be on this machine
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(receiving_in_thread())
        receiver.choose = _bad_mood(random.Random(1))
        without, told = (stack.enter_context(_site()) for _ in range(2))
        ratios = asyncio.run(_ratios(without, told, receiver.url))
        return Section("Webhooks", _HOW, tuple(_figures(ratios, len(receiver.requests), told.sender_cpu_seconds())))


def _bad_mood(rng: random.Random) -> Choice:
    replies = (Reply(500), HANG, Reply(302, {"location": "http://127.0.0.1:9/"}), Reply(429, {"retry-after": "60"}))

    def choose(_request: Received) -> Reply:
        return rng.choice(replies)

    return choose


@contextlib.contextmanager
def _site() -> Iterator[Site]:
    settings = {
        "SYNC_WEBHOOK_SECRETS": new_secret(),
        "SYNC_WEBHOOK_ALLOW_PRIVATE": "true",
        "SYNC_WEBHOOK_TIMEOUT_SECONDS": "1",
    }
    with TemporaryDirectory(prefix="sync-bench-") as name, serving(Path(name), workers=0, **settings) as service:
        worker = {**service.environment, "SYNC_SLOTS": str(SLOTS), "SYNC_BENCH_ITEM_SECONDS": str(ITEM_SECONDS)}
        with running(["-m", "tests.bench.null_worker"], log=service.log, **worker) as process:
            wait_for_workers(service, 1)
            site = Site((service.process.pid, process.pid), Path(name) / "data")
            site.halt()
            try:
                yield site
            finally:
                site.go_on()


async def _ratios(without: Site, told: Site, url: str) -> list[float]:
    """Give for each pair of rounds the time with webhooks by the time without."""
    ratios = []
    for number in range(ROUNDS + 1):
        pair = [(without, None), (told, url)]
        seconds = {site: await _round(site, to) for site, to in (pair if number % 2 else reversed(pair))}
        if number:  # the first pair warms up
            ratios.append(seconds[told] / seconds[without])
    return ratios


async def _round(site: Site, url: str | None) -> float:
    """Do the batches; gives the time from the first one's start to the last one's end."""
    site.go_on()
    backend = open_backend(site.data_dir)
    try:
        batch_ids = [await _uploaded(backend, url) for _ in range(BATCHES_PER_ROUND)]
        start = StartBatch(backend.batch_store, backend.work_queue, backend.idempotency_keys, SystemClock())
        for batch_id in batch_ids:
            await start.start(batch_id, StartOptions(1))
        async with asyncio.timeout(LIMIT_SECONDS):
            batches = [await _ended(backend, batch_id) for batch_id in batch_ids]
    finally:
        await backend.close()
        site.halt()
    began = min(batch.started_at for batch in batches if batch.started_at)
    return (max(batch.ended_at for batch in batches if batch.ended_at) - began).total_seconds()


async def _uploaded(backend: Backend, url: str | None) -> str:
    now = datetime.now(UTC)
    batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(1), 1, Priority.NORMAL, now, webhook_url=url)
    await backend.batch_store.create(batch, [ItemRequest("/mnt/data/m.wav", "/mnt/data/d.wav", DEFAULT_METHODS)])
    return batch.batch_id


async def _ended(backend: Backend, batch_id: str) -> Batch:
    while (batch := await backend.batch_store.get(batch_id)).status is BatchStatus.PROCESSING:
        await asyncio.sleep(_POLL_SECONDS)
    assert batch.status is BatchStatus.COMPLETED, batch
    return batch


def _figures(ratios: list[float], requests: int, sender_cpu_seconds: float) -> Iterator[Figure]:
    slower = [100 * (ratio - 1) for ratio in ratios]
    low, _, high = statistics.quantiles(slower, n=4)
    spread = f" (median of {len(slower)} pairs; half of them {low:+.1f} to {high:+.1f})"
    told = ROUNDS * BATCHES_PER_ROUND
    yield at_most(f"{told:,} batches slowed by a bad receiver", statistics.median(slower), 2, "%", detail=spread)
    yield Figure("requests that the receiver got meanwhile", f"{requests:,}")
    yield Figure("CPU time of the sender, start-up included", f"{sender_cpu_seconds:.1f} s")
