"""A process dies, pauses or is shut down before or after any of its calls; nothing is lost or done twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from sync_core.jobs.overdue import Overdue
from tests.fakes.invariants import Watchman
from tests.fakes.waiting import until
from tests.fakes.workshop import Workshop, open_workshop
from tests.faults import life as lives
from tests.faults.interruptions import Crash, Interrupter, Killer, Moment, Observer, Pauser, Shutdown
from tests.faults.life import LIVES, Life

OF_A_CUSTOMER = ["idempotency_keys.claim", "batch_store.create", "batch_store.start"]
OF_EVERY_ITEM = [
    "work_queue.send",
    "work_queue.receive",
    "batch_store.begin_attempt",
    "report_store.put",
    "batch_store.finish",
    "work_queue.delete",
]
OF_RETRIES = ["batch_store.release", "work_queue.extend", "report_store.discard"]
OF_THE_BACKGROUND = ["worker_registry.announce", "batch_store.stalled", "work_queue.receive_dead"]
OF_A_CANCELLED_ITEM = ["batch_store.renew", "work_queue.extend"]

CALLS = [("to_the_end", name) for name in OF_EVERY_ITEM + OF_RETRIES] + [
    ("cancelled", name) for name in OF_EVERY_ITEM + OF_A_CANCELLED_ITEM
]
OF_THE_PROCESSOR = ["batch_store.begin_attempt", "report_store.put", "batch_store.finish", "work_queue.send"]
OF_THE_PROCESSOR += ["work_queue.delete", *OF_RETRIES]
CRASHES = [("to_the_end", name) for name in OF_A_CUSTOMER + OF_THE_BACKGROUND] + CALLS
MOST_OCCURRENCES = 9

before_and_after = pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])


def open_small_workshop(data_dir: Path):
    return open_workshop(data_dir, max_receives=30, poll_seconds=1.0, overdue=Overdue(first_seconds=20))


async def at_each(name: str, after_effect: bool, live: Callable[[Moment], Awaitable[bool]]) -> None:
    """Live again and again, interrupted at the first call of that name, the second, and so on to the last."""
    for occurrence in count(1):
        happened = await live(Moment(name, occurrence, after_effect))
        assert happened or occurrence > 1, f"{name} is never called"
        if not happened or occurrence == MOST_OCCURRENCES:
            return


@before_and_after
@pytest.mark.parametrize(("life", "name"), CRASHES)
async def test_a_crash_loses_nothing_and_counts_nothing_twice(life, name, after_effect, data_dir) -> None:
    async def live(moment: Moment) -> bool:
        return await crash(moment, data_dir / str(moment.occurrence), LIVES[life])

    await at_each(name, after_effect, live)


async def crash(moment: Moment, data_dir: Path, life: Life) -> bool:
    """Live with a crash; another worker takes over."""
    async with open_small_workshop(data_dir) as shop:
        life.script(shop, shop.analyzer)
        with closing(Watchman(data_dir)) as watchman:
            killer = Killer(watchman, moment)
            batch_id = await submit_in_spite_of(shop, killer)
            await lives.work_until_settled(shop, batch_id, lives.worker(shop, "first", killer))
            await lives.work_until_settled(shop, batch_id, lives.worker(shop, "second", Observer(watchman)))
            await lives.check_settled(shop, batch_id, life)
            return killer.happened


async def submit_in_spite_of(shop: Workshop, killer: Killer) -> str:
    """Submit and start; a customer whose request got no answer repeats it."""
    try:
        return await lives.submit_and_start(shop, killer)
    except Crash:
        return await lives.submit_and_start(shop, Observer(killer.watchman))


@before_and_after
@pytest.mark.parametrize(("life", "name"), CALLS)
async def test_a_paused_worker_writes_nothing_late_that_counts(life, name, after_effect, data_dir) -> None:
    async def live(moment: Moment) -> bool:
        return await pause(moment, data_dir / str(moment.occurrence), LIVES[life])

    await at_each(name, after_effect, live)


async def pause(moment: Moment, data_dir: Path, life: Life) -> bool:
    """Live with a worker that pauses for longer than any lease, and then goes on as if nothing had been."""
    async with open_small_workshop(data_dir) as shop:
        life.script(shop, shop.analyzer)
        with closing(Watchman(data_dir)) as watchman:
            batch_id = await lives.submit_and_start(shop, Observer(watchman))
            pauser = Pauser(watchman, moment)
            late = lives.worker(shop, "late", pauser)
            late_task = asyncio.create_task(late.run())
            await until(lambda: has_happened_or_settled(shop, batch_id, pauser), within_seconds=60)
            shop.clock.advance(lives.POLICY.lease_seconds + 1)
            await lives.work_until_settled(shop, batch_id, lives.worker(shop, "other", Observer(watchman)))
            pauser.resume.set()
            await until(lambda: lives.is_settled(shop, batch_id), within_seconds=60)
            await lives.stop(late, late_task)
            await lives.work_until_settled(shop, batch_id, lives.worker(shop, "last", Observer(watchman)))
            await lives.check_settled(shop, batch_id, life)
            return pauser.happened


async def has_happened_or_settled(shop: Workshop, batch_id: str, interrupter: Interrupter) -> bool:
    return interrupter.happened or await lives.is_settled(shop, batch_id)


@before_and_after
@pytest.mark.parametrize("name", OF_THE_PROCESSOR)
async def test_a_shutdown_at_any_call_loses_nothing_and_counts_nothing_twice(name, after_effect, data_dir) -> None:
    async def live(moment: Moment) -> bool:
        return await shut_down(moment, data_dir / str(moment.occurrence), LIVES["to_the_end"])

    await at_each(name, after_effect, live)


async def shut_down(moment: Moment, data_dir: Path, life: Life) -> bool:
    """Live with a worker whose running item is cancelled at that moment; then another one takes over."""
    async with open_small_workshop(data_dir) as shop:
        life.script(shop, shop.analyzer)
        with closing(Watchman(data_dir)) as watchman:
            batch_id = await lives.submit_and_start(shop, Observer(watchman))
            shutdown = Shutdown(watchman, moment)
            first = lives.worker(shop, "first", shutdown)
            first_task = asyncio.create_task(first.run())
            await until(lambda: has_happened_or_settled(shop, batch_id, shutdown), within_seconds=60)
            await lives.stop(first, first_task)
            await lives.work_until_settled(shop, batch_id, lives.worker(shop, "second", Observer(watchman)))
            await lives.check_settled(shop, batch_id, life)
            return shutdown.happened
