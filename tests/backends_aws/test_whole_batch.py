"""A whole batch in a storm of faults, by workers that are killed at random: every item ends, and each of them once."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
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


class Mortal:
    """A worker on a back end of its own; once killed, nothing that it still wants to do gets through."""

    def __init__(self, yard: Yard, name: str, backend: AwsBackend) -> None:
        self._backend, self._dead = backend, False
        loop = yard.worker(name, TappedBackend(backend, self._pass), slots=4, poll_seconds=1.0)
        self._task = asyncio.create_task(loop.run())

    async def kill(self) -> None:
        self._dead = True
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        await self._backend.close()

    async def _pass(self, _name: str, call: Call) -> Any:
        if self._dead:
            raise asyncio.CancelledError
        return await call()


class Crew:
    """Some workers at work; one that is killed has another one take its place."""

    def __init__(self, yard: Yard, home: AwsBackend, storm: Storm, random: Random) -> None:
        self._yard, self._home, self._storm, self._random = yard, home, storm, random
        self._workers: list[Mortal] = []
        self.deaths = 0

    async def hire(self) -> None:
        backend = open_backend(self._home.resources, endpoint_url=emulator("ministack").endpoint_url, region=REGION)
        await self._storm.over(backend)
        self._workers.append(Mortal(self._yard, f"worker-{self.deaths}-{len(self._workers)}", backend))

    async def lose_one(self) -> None:
        await self._workers.pop(self._random.randrange(len(self._workers))).kill()
        self.deaths += 1
        await self.hire()

    async def dismiss(self) -> None:
        for worker in self._workers:
            await worker.kill()


async def watch_to_the_end(home: AwsBackend, batch_id: str, crew: Crew, random: Random) -> Batch:
    """Look at the counters all the time, and kill a worker whenever some more items have ended."""
    ended, next_death = 0, 5
    while True:
        batch = await home.batch_store.get(batch_id)
        counters = batch.counters
        assert 0 <= counters.in_flight <= WINDOW
        assert counters.pending >= 0
        assert counters.ended >= ended, "an ended item is open again"
        ended = counters.ended
        if batch.status.is_terminal:
            return batch
        if ended >= next_death:
            next_death = ended + random.randint(8, 24)
            await crew.lose_one()
        await asyncio.sleep(0.05)


@pytest.mark.timeout(300)  # it takes a tenth of that where nothing else runs
@pytest.mark.parametrize("seed", [7])
async def test_every_item_ends_once(seed: int) -> None:
    home, random = open_emulated("ministack", max_receives=1000), Random(seed)
    yard, storm = Yard(home, attempts=ATTEMPTS), Storm(seed, share=0.04)
    batch_id = await yard.started(ITEMS, parallel_jobs=WINDOW)
    crew = Crew(yard, home, storm, random)
    try:
        for _ in range(WORKERS):
            await crew.hire()
        batch = await watch_to_the_end(home, batch_id, crew, random)
    finally:
        await crew.dismiss()
    assert crew.deaths, "no worker died: a busy machine may see few deaths, but some"
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
