"""A whole batch in a storm of faults, by workers that are killed at random: every item ends, and each of them once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest

from sync_core.backends.aws.open import AwsBackend, open_backend
from sync_core.domain.batch import Batch, BatchStatus, ItemStatus
from sync_core.jobs.ports.batch_store import item_stream
from sync_core.jobs.process import AttemptPolicy
from tests.aws_emulators import REGION, emulator, open_emulated
from tests.backends_aws.traffic import Storm
from tests.backends_aws.workers import Yard
from tests.fakes.tap import Call, TappedBackend

ITEMS = 200
WINDOW = 24
WORKERS = 4
ATTEMPTS = AttemptPolicy(lease_seconds=3.0, heartbeat_seconds=0.5, max_attempts=1000, first_backoff_seconds=0.2)


class Killed(Exception):
    """What every call of a killed worker meets."""


class Mortal:
    """A worker on a back end of its own; once killed, nothing that it still wants to do gets through."""

    def __init__(self, yard: Yard, name: str, backend: AwsBackend) -> None:
        self._backend, self._dead = backend, False
        loop = yard.worker(name, TappedBackend(backend, self._pass), slots=4, poll_seconds=1.0)
        self._task = asyncio.create_task(loop.run())

    async def kill(self) -> None:
        self._dead = True
        self._task.cancel()
        with suppress(asyncio.CancelledError, Killed):
            await self._task
        await self._backend.close()

    async def _pass(self, _name: str, call: Call) -> Any:
        if self._dead:
            raise Killed
        return await call()


@asynccontextmanager
async def workers_that_die(yard: Yard, home: AwsBackend, storm: Storm, random: Random) -> AsyncIterator[Counter[str]]:
    """Keep some workers at work; every second or so one is killed and another one takes its place."""
    crew: list[Mortal] = []
    deaths: Counter[str] = Counter()

    async def hire() -> None:
        backend = open_backend(home.resources, endpoint_url=emulator("ministack").endpoint_url, region=REGION)
        await storm.over(backend)
        crew.append(Mortal(yard, f"worker-{deaths['killed']}-{len(crew)}", backend))

    async def kill_now_and_then() -> None:
        while True:
            await asyncio.sleep(random.uniform(0.2, 1.2))
            await crew.pop(random.randrange(len(crew))).kill()
            deaths["killed"] += 1
            await hire()

    for _ in range(WORKERS):
        await hire()
    killer = asyncio.create_task(kill_now_and_then())
    try:
        yield deaths
    finally:
        killer.cancel()
        await asyncio.gather(killer, return_exceptions=True)
        for worker in crew:
            await worker.kill()


async def watch(home: AwsBackend, batch_id: str) -> None:
    """Look at the counters all the time."""
    ended = 0
    while True:
        counters = (await home.batch_store.get(batch_id)).counters
        assert 0 <= counters.in_flight <= WINDOW
        assert counters.pending >= 0
        assert counters.ended >= ended, "an ended item is open again"
        ended = counters.ended
        await asyncio.sleep(0.05)


@pytest.mark.timeout(200)  # it takes a fifth of that where nothing else runs
@pytest.mark.parametrize("seed", [7])
async def test_every_item_ends_once(seed: int) -> None:
    home = open_emulated("ministack", max_receives=1000)
    yard, storm = Yard(home, attempts=ATTEMPTS), Storm(seed, share=0.04)
    batch_id = await yard.started(ITEMS, parallel_jobs=WINDOW)
    watching = asyncio.create_task(watch(home, batch_id))
    async with workers_that_die(yard, home, storm, Random(seed)) as deaths:
        batch = await yard.ended(batch_id, within_seconds=150)
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert deaths["killed"] >= 2
    assert set(storm.spoilt) == {"conflict", "failed", "lost", "partial", "throttled"}
    await assert_all_ended_once(home, batch)
    await home.close()


async def assert_all_ended_once(home: AwsBackend, batch: Batch) -> None:
    items = [item async for item in item_stream(home.batch_store, batch.batch_id)]
    assert batch.status is BatchStatus.COMPLETED
    assert (batch.counters.completed, batch.counters.in_flight, batch.counters.pending) == (ITEMS, 0, 0)
    assert {item.status for item in items} == {ItemStatus.COMPLETED}
    assert batch.counters.average_confidence == pytest.approx(0.9)
    claims = [item.next_item for item in items if item.next_item is not None]
    assert sorted(claims) == list(range(WINDOW, ITEMS))
    events = await home.event_outbox.of_batch(batch.batch_id)
    assert [event.event_type.value for event in events] == ["batch.started", "batch.completed"]
    for item in items:
        report = json.loads(await home.report_store.get(item.report_key or ""))
        assert (report["item_id"], report["result"]) == (item.item_id, item.result)
