"""A large batch over an AWS emulator that misbehaves, by worker processes that are killed: every item ends, and once.

The workers' adapters speak to the emulator through a proxy that spoils requests; who watches speaks to it directly.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from sync_core.backends.aws.open import AwsBackend
from sync_core.domain.batch import Batch, BatchStatus, Counters, Item, ItemRequest, ItemStatus, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.ports.batch_store import item_stream
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.start import StartBatch
from tests.aws_emulators import ENVIRONMENT, emulator, open_emulated
from tests.fakes.processes import started
from tests.soak.fault_proxy import FaultProxy

MOST_RECEIVES = 1000
_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Plan:
    """What to go through. A worker is killed whenever about `items_per_death` items have ended since the last death."""

    items: int = 10_000
    workers: int = 4
    slots: int = 8
    window: int = 80
    faults: float = 0.02
    items_per_death: int = 250
    lease_seconds: float = 20.0
    seed: int = 20250828
    limit_seconds: float = 3600.0


@dataclass
class Soaked:
    """What was gone through, and what it cost."""

    seconds: float = 0.0
    deaths: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    empty_receives: int = 0
    requests_of_undisturbed: list[int] = field(default_factory=list)
    attempts: Counter[int] = field(default_factory=Counter)


async def soak(plan: Plan, on_progress: Callable[[int], None] = lambda _ended: None) -> Soaked:
    """Go through the plan.

    Raises
    ------
    AssertionError
        If an invariant is broken, or an item did not end, or not once.
    TimeoutError
        If it takes longer than the plan allows.
    """
    soaked, began = Soaked(), time.monotonic()
    home = open_emulated("ministack", max_receives=MOST_RECEIVES)
    proxy = FaultProxy(emulator("ministack").endpoint_url, seed=plan.seed, share=plan.faults)
    with TemporaryDirectory(prefix="sync-soak-") as folder, ExitStack() as stack:
        crew = Crew(plan, home, proxy, stack, Path(folder) / "workers.log")
        async with asyncio.timeout(plan.limit_seconds), proxy.running():
            batch_id = await _start(home, plan)
            for _ in range(plan.workers):
                crew.hire()
            batch = await _watch(home, batch_id, plan, crew, on_progress)
            await _until_acknowledged(home)
            crew.dismiss()
        soaked.seconds, soaked.deaths = time.monotonic() - began, crew.deaths
        soaked.attempts = await assert_all_ended_once(home, batch, plan)
    await home.close()
    ledger = proxy.ledger
    soaked.faults, soaked.answered, soaked.empty_receives = proxy.spoilt, ledger.answered, ledger.empty_receives
    soaked.requests_of_undisturbed = ledger.undisturbed()
    return soaked


class Crew:
    """Worker processes; one that is killed has another one take its place."""

    def __init__(self, plan: Plan, home: AwsBackend, proxy: FaultProxy, stack: ExitStack, log: Path) -> None:
        self._plan, self._home, self._proxy, self._stack, self._log = plan, home, proxy, stack, log
        self._random = Random(plan.seed)
        self._workers: list[subprocess.Popen[bytes]] = []
        self._next_death = self._soon(0)
        self.deaths = 0

    def hire(self) -> None:
        resources = self._home.resources
        urls = json.dumps({str(priority): resources.queue_urls[priority] for priority in Priority})
        dead = json.dumps({str(priority): resources.dead_letter_urls[priority] for priority in Priority})
        settings = {
            **ENVIRONMENT,
            "AWS_ENDPOINT_URL": self._proxy.url,
            "SYNC_BACKEND": "aws",
            "SYNC_AWS_TABLE": resources.table,
            "SYNC_AWS_BUCKET": resources.bucket,
            "SYNC_AWS_QUEUES": urls,
            "SYNC_AWS_DEAD_LETTERS": dead,
            "SYNC_SLOTS": self._plan.slots,
            "SYNC_LEASE_SECONDS": self._plan.lease_seconds,
            "SYNC_MAX_ATTEMPTS": MOST_RECEIVES // 3,
            "SYNC_MAX_RECEIVES": MOST_RECEIVES,
            "SYNC_LOG_LEVEL": "ERROR",
        }
        process = self._stack.enter_context(started("tests.bench.null_worker", log=self._log, **settings))
        self._workers.append(process)

    def lose_some(self, ended: int) -> None:
        """Kill a worker at any moment of its life, if it is time."""
        if ended >= self._next_death:
            self._next_death = self._soon(ended)
            victim = self._workers.pop(self._random.randrange(len(self._workers)))
            victim.kill()
            victim.wait()
            self.deaths += 1
            self.hire()
        assert all(worker.poll() is None for worker in self._workers), f"a worker died: {self._last_words()}"

    def dismiss(self) -> None:
        for worker in self._workers:
            worker.terminate()
        for worker in self._workers:
            assert worker.wait(60) == 0, self._last_words()

    def _soon(self, ended: int) -> int:
        usual = self._plan.items_per_death
        return ended + self._random.randint(usual // 2, usual * 3 // 2)

    def _last_words(self) -> str:
        return self._log.read_text()[-3000:]


async def _start(home: AwsBackend, plan: Plan) -> str:
    clock = SystemClock()
    batch = Batch(
        new_batch_id(clock.now()), BatchStatus.UPLOADED, Counters(plan.items), 2, Priority.NORMAL, clock.now()
    )
    requests = [ItemRequest("/mnt/data/m.wav", f"/mnt/data/d{n}.wav", DEFAULT_METHODS) for n in range(plan.items)]
    assert await home.batch_store.create(batch, requests)
    start = StartBatch(home.batch_store, home.work_queue, home.idempotency_keys, clock)
    await start.start(batch.batch_id, StartOptions(plan.window))
    return batch.batch_id


async def _watch(home: AwsBackend, batch_id: str, plan: Plan, crew: Crew, on_progress: Callable[[int], None]) -> Batch:
    """Look at the counters again and again, to the end."""
    ended = 0
    while True:
        batch = await home.batch_store.get(batch_id)
        counters = batch.counters
        assert 0 <= counters.in_flight <= plan.window
        assert counters.pending >= 0
        assert counters.ended >= ended, "an ended item is open again"
        ended = counters.ended
        on_progress(ended)
        if batch.status.is_terminal:
            return batch
        crew.lose_some(ended)
        await asyncio.sleep(_POLL_SECONDS)


async def _until_acknowledged(home: AwsBackend) -> None:
    """Wait until no message is left: acknowledging removes what attempts left that were killed."""
    while any(depth.waiting or depth.in_flight for depth in (await home.work_queue.depth()).values()):
        await asyncio.sleep(_POLL_SECONDS)


async def assert_all_ended_once(home: AwsBackend, batch: Batch, plan: Plan) -> Counter[int]:
    """Check results, reports, counts, claims and events; gives how many items took how many attempts."""
    items = [item async for item in item_stream(home.batch_store, batch.batch_id)]
    assert (batch.status, batch.counters.completed, batch.counters.in_flight) == (BatchStatus.COMPLETED, plan.items, 0)
    assert len(items) == plan.items
    assert {item.status for item in items} == {ItemStatus.COMPLETED}
    claims = [item.next_item for item in items if item.next_item is not None]
    assert sorted(claims) == list(range(min(plan.window, plan.items), plan.items)), "an item was claimed twice"
    assert len({item.analysis_id for item in items}) == plan.items
    events = await home.event_outbox.of_batch(batch.batch_id)
    assert [event.event_type.value for event in events] == ["batch.started", "batch.completed"]
    assert not any(depth.dead for depth in (await home.work_queue.depth()).values())
    assert await _report_keys(home) == {item.report_key for item in items}, "reports are missing, or too many"
    await _check_reports(home, items)
    return Counter(item.attempt for item in items)


async def _report_keys(home: AwsBackend) -> set[str]:
    s3, keys = await home.clients.s3(), set()
    async for page in s3.get_paginator("list_objects_v2").paginate(Bucket=home.resources.bucket):
        keys |= {entry["Key"].removeprefix("reports/") for entry in page.get("Contents", ())}
    return keys


async def _check_reports(home: AwsBackend, items: list[Item]) -> None:
    """Compare each report with what the table says."""
    free = asyncio.Semaphore(8)

    async def check(item: Item) -> None:
        async with free:
            report = json.loads(await home.report_store.get(item.report_key or ""))
        assert (report["item_id"], report["result"]) == (item.item_id, item.result)

    await asyncio.gather(*map(check, items))
