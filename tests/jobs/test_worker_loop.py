"""A worker keeps its slots busy, takes nothing that it cannot start, and stops in an orderly way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.batch import BatchStatus, ItemStatus, Priority
from sync_core.domain.errors import MediaNotFound, StorageUnavailable
from sync_core.jobs.worker_loop import WorkerBroken, WorkerLoop, rotation
from tests.fakes.analyzer import answers, found, never_ends, raises
from tests.fakes.invariants import look_once
from tests.fakes.tap import Call, TappedBackend, Trouble
from tests.fakes.waiting import until
from tests.fakes.workshop import Workshop, dub, open_workshop


@asynccontextmanager
async def running(worker: WorkerLoop) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(worker.run())
    try:
        yield task
    finally:
        worker.stop()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 10)


async def until_ended(shop: Workshop, batch_id: str) -> None:
    async def has_ended() -> bool:
        return (await shop.batch(batch_id)).status.is_terminal

    await until(has_ended)


@pytest.mark.parametrize("slots", [1, 3])
async def test_it_never_holds_more_deliveries_than_it_has_slots(shop: Workshop, slots: int) -> None:
    batch_id = await shop.started(20, parallel_jobs=10)
    held: list[int] = []

    async def count_held(name: str, call: Call) -> object:
        if name == "work_queue.receive":
            held.append(len(shop.analyzer.running))
        return await call()

    async def take_a_while(_request, _on_progress):
        await shop.clock.sleep(3)
        return found()

    shop.analyzer.default = take_a_while
    shop.backend = TappedBackend(shop.backend, count_held)
    async with running(shop.worker(slots=slots)):
        await until_ended(shop, batch_id)

    assert max(held) < slots, "it received while no slot was free"
    assert shop.analyzer.most_running == slots, "slots were left idle"


async def test_it_polls_once_while_idle_and_for_all_free_slots_at_once_while_there_is_work(shop: Workshop) -> None:
    polling, most = 0, {}

    async def count_polls(name: str, call: Call) -> object:
        nonlocal polling
        if name != "work_queue.receive":
            return await call()
        polling += 1
        most[phase] = max(most.get(phase, 0), polling)
        try:
            return await call()
        finally:
            polling -= 1

    shop.backend = TappedBackend(shop.backend, count_polls)
    phase = "idle"
    async with running(shop.worker(slots=3)):
        await asyncio.sleep(0.02)
        phase = "working"
        await until_ended(shop, await shop.started(20, parallel_jobs=10))

    assert most["idle"] == 1
    assert 2 <= most["working"] <= 3


async def test_an_idle_worker_starts_what_arrives_in_any_queue(shop: Workshop) -> None:
    async with running(shop.worker()):
        for priority in Priority:
            batch_id = await shop.started(priority=priority)
            await until_ended(shop, batch_id)
            batch, item = await shop.batch(batch_id), await shop.item(batch_id)
            assert item.started_at - batch.started_at <= timedelta(seconds=0.2)


async def test_it_stops_during_a_long_poll_and_takes_nothing_with_it(shop: Workshop) -> None:
    worker = shop.worker()
    async with running(worker) as task:
        await asyncio.sleep(0.02)
        worker.stop()
        await asyncio.wait_for(task, 5)
    await shop.started()
    assert await shop.receive() is not None
    assert shop.analyzer.calls == []


async def test_what_arrives_during_the_last_poll_is_given_back_at_once(shop: Workshop) -> None:
    await shop.started()
    worker: WorkerLoop | None = None

    async def stop_during_receive(name: str, call: Call) -> object:
        outcome = await call()
        if name == "work_queue.receive":
            worker.stop()
        return outcome

    backend, shop.backend = shop.backend, TappedBackend(shop.backend, stop_during_receive)
    worker = shop.worker()
    await asyncio.wait_for(worker.run(), 5)

    shop.backend = backend
    assert (await shop.receive()).receive_count == 2
    assert shop.analyzer.calls == []


async def test_a_stop_lets_the_running_item_finish_within_the_grace_time(shop: Workshop) -> None:
    batch_id = await shop.started(2, parallel_jobs=1)
    finish = asyncio.Event()

    async def act(_request, _on_progress):
        await finish.wait()
        return found()

    shop.analyzer.will(dub(0), act)
    worker = shop.worker(grace_seconds=5)
    async with running(worker) as task:
        await shop.analyzer.begun.wait()
        worker.stop()
        await asyncio.sleep(0.05)
        assert not task.done()
        finish.set()
        await asyncio.wait_for(task, 5)

    assert (await shop.item(batch_id, 0)).status is ItemStatus.COMPLETED
    assert (await shop.receive()).message.item_index == 1, "its successor is left to other workers"
    assert shop.analyzer.calls == [dub(0)]


async def test_after_the_grace_time_the_running_item_is_released_to_others(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), never_ends())
    worker = shop.worker(grace_seconds=0.05)
    async with running(worker) as task:
        await shop.analyzer.begun.wait()
        worker.stop()
        await asyncio.wait_for(task, 5)

    item = await shop.item(batch_id)
    assert (item.attempt, item.leased_by) == (0, None)
    assert (await shop.receive()).message.item_index == 0
    assert shop.analyzer.cancelled == [dub(0)]


@given(st.integers(0, 50))
def test_in_any_seven_turns_every_priority_comes_first_and_high_most_often(start: int) -> None:
    orders = list(islice(rotation(), start, start + 7))
    assert Counter(order[0] for order in orders) == {Priority.HIGH: 4, Priority.NORMAL: 2, Priority.LOW: 1}
    assert all(sorted(order) == sorted(Priority) for order in orders), "each turn tries all the queues"


async def test_low_priority_is_served_while_high_never_ends(shop: Workshop) -> None:
    high = await shop.started(60, parallel_jobs=60, priority=Priority.HIGH)
    low = await shop.started(3, parallel_jobs=3, priority=Priority.LOW)
    async with running(shop.worker()):
        await until_ended(shop, low)
        counters = (await shop.batch(high)).counters
    assert counters.completed <= 30, "low was served only after high"
    assert counters.completed >= 9, "high is preferred"


async def test_bugs_on_different_items_in_a_row_stop_the_worker_before_it_spoils_the_queue(shop: Workshop) -> None:
    batch_id = await shop.started(40, parallel_jobs=40)
    shop.analyzer.default = raises(ImportError("libavcodec is broken"))

    with pytest.raises(WorkerBroken, match="5 items"):
        await asyncio.wait_for(shop.worker(bugs_in_a_row=5).run(), 10)

    items = await shop.backend.batch_store.items(batch_id, limit=40)
    assert sum(item.attempt for item in items) <= 6
    assert not [item for item in items if item.status.is_terminal]
    assert await shop.backend.worker_registry.live(now=shop.clock.now()) == ()


async def test_a_bug_of_one_item_does_not_stop_the_worker(shop: Workshop) -> None:
    batch_id = await shop.started(20, parallel_jobs=2)
    shop.analyzer.will(dub(3), raises(ZeroDivisionError()))
    async with running(shop.worker(bugs_in_a_row=3)) as task:
        await until_ended(shop, batch_id)
        assert not task.done()
    batch = await shop.batch(batch_id)
    assert (batch.counters.completed, batch.counters.failed) == (19, 1)
    assert (await shop.item(batch_id, 3)).error_code == "INTERNAL_ERROR"


async def test_bugs_with_successes_between_them_do_not_stop_the_worker(shop: Workshop) -> None:
    batch_id = await shop.started(16, parallel_jobs=1)
    for index in range(0, 16, 2):
        shop.analyzer.will(dub(index), raises(ZeroDivisionError()), answers(found()))
    async with running(shop.worker(bugs_in_a_row=3)):
        await until_ended(shop, batch_id)
    assert (await shop.batch(batch_id)).counters.completed == 16


async def test_failures_that_are_the_files_own_do_not_count_as_bugs(shop: Workshop) -> None:
    batch_id = await shop.started(12, parallel_jobs=4)
    shop.analyzer.default = raises(MediaNotFound("gone"))
    async with running(shop.worker(bugs_in_a_row=3)):
        await until_ended(shop, batch_id)
    assert (await shop.batch(batch_id)).status is BatchStatus.FAILED


async def test_it_announces_itself_again_and_again_and_withdraws_at_the_end(shop: Workshop) -> None:
    registry, worker = shop.backend.worker_registry, shop.worker("worker-a", announce_seconds=5)
    began = shop.clock.now()
    async with running(worker):
        await until(lambda: shop.clock.now() >= began + timedelta(seconds=120))
        (seen,) = await registry.live(now=shop.clock.now())
        assert seen.worker_id == "worker-a"
        assert shop.clock.now() - seen.seen_at <= timedelta(seconds=6)
    assert await registry.live(now=shop.clock.now()) == ()


async def test_a_worker_that_dies_vanishes_from_the_registry_by_itself(shop: Workshop) -> None:
    registry = shop.backend.worker_registry
    task = asyncio.create_task(shop.worker().run())
    await until(lambda: registry.live(now=shop.clock.now()))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await registry.live(now=shop.clock.now() + timedelta(seconds=60)) == ()


@pytest.mark.parametrize(
    "duty", ["worker_registry.announce", "batch_store.stalled", "work_queue.receive_dead", "work_queue.receive"]
)
async def test_it_survives_trouble_in_its_duties(shop: Workshop, duty: str) -> None:
    trouble = Trouble(duty, StorageUnavailable("the disk is full"), times=3)
    backend, shop.backend = shop.backend, TappedBackend(shop.backend, trouble)
    worker = shop.worker(sweep_seconds=1)
    shop.backend = backend
    async with running(worker):
        await until(lambda: not trouble.left)
        batch_id = await shop.started()
        await until_ended(shop, batch_id)
        await until(lambda: trouble.calls.count(duty) > 4)
    assert (await shop.batch(batch_id)).status is BatchStatus.COMPLETED


async def test_a_bug_in_a_background_duty_ends_neither_the_duty_nor_the_work(shop: Workshop) -> None:
    trouble = Trouble("batch_store.stalled", KeyError("a bug"), times=5)
    shop.backend = TappedBackend(shop.backend, trouble)
    batch_id = await shop.started()
    async with running(shop.worker(sweep_seconds=1)):
        await until_ended(shop, batch_id)
        await until(lambda: trouble.calls.count("batch_store.stalled") > 6)


@pytest.mark.parametrize("name", ["worker_registry.withdraw", "work_queue.extend"])
async def test_trouble_with_the_storage_at_the_end_does_not_make_the_end_a_crash(shop: Workshop, name: str) -> None:
    await shop.started()
    trouble = Trouble(name, StorageUnavailable("the disk is full"), times=99)
    worker: WorkerLoop | None = None

    async def stop_during_receive(called: str, call: Call) -> object:
        outcome = await trouble(called, call)
        if called == "work_queue.receive":
            worker.stop()
        return outcome

    shop.backend = TappedBackend(shop.backend, stop_during_receive)
    worker = shop.worker()
    await asyncio.wait_for(worker.run(), 5)
    assert trouble.left < 99


async def test_trouble_with_one_item_leaves_the_other_slots_at_work(shop: Workshop) -> None:
    batch_id = await shop.started(6, parallel_jobs=3)
    trouble = Trouble("batch_store.begin_attempt", StorageUnavailable("lock"), times=2)
    shop.backend = TappedBackend(shop.backend, trouble)
    async with running(shop.worker(slots=2)):
        await until_ended(shop, batch_id)
    assert sorted(shop.analyzer.calls) == [dub(index) for index in range(6)]


async def test_two_workers_share_one_batch_within_its_window(shop: Workshop) -> None:
    batch_id = await shop.started(30, parallel_jobs=3)

    async def take_a_while(_request, _on_progress):
        await shop.clock.sleep(1)
        return found()

    shop.analyzer.default = take_a_while
    async with running(shop.worker("worker-a", slots=4)), running(shop.worker("worker-b", slots=4)):
        await until_ended(shop, batch_id)
    assert shop.analyzer.most_running <= 3
    assert sorted(shop.analyzer.calls) == [dub(index) for index in range(30)]


async def test_a_small_batch_is_not_held_up_by_a_large_one(shop: Workshop) -> None:
    large = await shop.started(200, parallel_jobs=64)
    small = await shop.started(2, parallel_jobs=2)
    shop.analyzer.default = answers(found())
    async with running(shop.worker()):
        await until_ended(shop, small)
        ahead = (await shop.batch(large)).counters.completed
    assert ahead <= 20


async def test_an_item_outlasts_an_hour_without_its_storage(data_dir: Path) -> None:
    async with open_workshop(data_dir, poll_seconds=5.0) as shop:
        back_again = shop.clock.now() + timedelta(hours=1)
        most_messages = 0

        async def needs_storage(_request, _on_progress):
            nonlocal most_messages
            depth = await shop.depth()
            most_messages = max(most_messages, depth.waiting + depth.in_flight)
            if shop.clock.now() < back_again:
                raise StorageUnavailable("the share with the media is away")
            return found()

        shop.analyzer.default = needs_storage
        batch_id = await shop.started()
        async with running(shop.worker(poll_seconds=15)):
            await until_ended(shop, batch_id)
        assert (await shop.batch(batch_id)).counters.completed == 1
        assert (await shop.item(batch_id)).ended_at - back_again <= timedelta(minutes=10)
        assert most_messages <= 12, "copies of its message pile up"
    look_once(data_dir)
