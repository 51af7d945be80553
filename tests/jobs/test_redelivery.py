"""Messages come at least once: twice at once, again after success, behind a busy worker, long after."""

from __future__ import annotations

import asyncio

from sync_core.domain.batch import BatchStatus, ItemEnd, ItemStatus
from sync_core.jobs.ports.work_queue import Message
from sync_core.jobs.process import Outcome
from sync_core.jobs.start import messages_for
from tests.fakes.analyzer import found
from tests.fakes.workshop import Workshop, dub

GONE = ItemEnd(ItemStatus.FAILED, error="gone", error_code="MEDIA_NOT_FOUND")


async def test_the_same_message_twice_at_once_is_analysed_once(shop: Workshop) -> None:
    batch_id = await shop.started()
    await send_again(shop, batch_id, 0)
    go_on = asyncio.Event()

    async def slow(_request, _on_progress):
        await go_on.wait()
        return found()

    shop.analyzer.will(dub(0), slow)
    first = asyncio.create_task(shop.processor("worker-a").process(await shop.receive()))
    await shop.analyzer.begun.wait()

    assert await shop.processor("worker-b").process(await shop.receive()) is Outcome.REPEATED

    go_on.set()
    assert await first is Outcome.SAVED
    assert shop.analyzer.calls == [dub(0)]
    assert (await shop.batch(batch_id)).counters.completed == 1
    assert (await total_messages(shop)) == 0


async def test_a_message_that_came_back_while_its_worker_lives_waits_for_the_end_of_the_lease(shop: Workshop) -> None:
    batch_id = await shop.started()
    await shop.receive(visibility_seconds=10)
    await shop.backend.batch_store.begin_attempt(batch_id, 0, worker_id="alive", now=shop.clock.now(), lease_seconds=60)
    shop.clock.advance(10)

    assert await shop.processor().process(await shop.receive()) is Outcome.LATER

    shop.clock.advance(50)
    assert await shop.receive_if_any() is None
    shop.clock.advance(2)
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED


async def test_redelivered_after_success_it_sends_its_recorded_successor_again(shop: Workshop) -> None:
    batch_id = await shop.started(2, parallel_jobs=1)
    delivery = await shop.receive()
    lease = (
        await shop.backend.batch_store.begin_attempt(batch_id, 0, worker_id="a", now=shop.clock.now(), lease_seconds=60)
    ).lease
    await shop.backend.batch_store.finish(lease, GONE, now=shop.clock.now())
    # the worker dies here: the next item is claimed, but nobody was told, and the message is not acknowledged
    assert delivery.message.item_index == 0
    shop.clock.advance(61)

    assert await shop.processor().process(await shop.receive()) is Outcome.REPEATED

    successor = await shop.receive()
    assert successor.message == Message(batch_id, 1, delivery.message.priority)
    assert await shop.processor().process(successor) is Outcome.SAVED
    assert (await shop.batch(batch_id)).status is BatchStatus.COMPLETED
    assert await total_messages(shop) == 0
    assert shop.analyzer.calls == [dub(1)]


async def test_a_redelivered_message_of_an_ended_item_removes_what_a_crashed_attempt_reported(shop: Workshop) -> None:
    batch_id = await shop.started()
    reports, store = shop.backend.report_store, shop.backend.batch_store
    for fence in (1, 2):  # the first attempt crashed after its report, the second after its end
        delivery = await shop.receive()
        begun = await store.begin_attempt(batch_id, 0, worker_id="a", now=shop.clock.now(), lease_seconds=60)
        await reports.put(f"{batch_id}/item_001-{fence}.json", b'{"result": {}}')
        shop.clock.advance(61)
    assert delivery.receive_count == 2
    await shop.backend.batch_store.finish(begun.lease, GONE, now=shop.clock.now())

    assert await shop.processor().process(await shop.receive()) is Outcome.REPEATED

    assert shop.reports() == []


async def test_messages_for_unknown_or_unclaimed_items_are_dropped(shop: Workshop) -> None:
    batch_id = await shop.uploaded(3)
    priority = (await shop.batch(batch_id)).priority
    strays = [
        Message(batch_id, 0, priority),
        Message(batch_id, 7, priority),
        Message("batch_20250828_140600_ffffffff", 0, priority),
    ]
    await shop.backend.work_queue.send(strays)
    outcomes = [await shop.processor().process(await shop.receive()) for _ in strays]
    assert outcomes == [Outcome.REPEATED] * 3
    assert shop.analyzer.calls == []
    assert await total_messages(shop) == 0


async def test_duplicates_die_out_instead_of_following_the_batch_to_its_end(shop: Workshop) -> None:
    """Messages that wait behind a busy worker are sent again by the sweeper; the copies must not breed."""
    batch_id = await shop.started(40, parallel_jobs=8)
    while not (await shop.batch(batch_id)).status.is_terminal:
        delivery = await shop.receive()
        if await shop.processor().process(delivery) is Outcome.SAVED:
            shop.clock.advance(30)  # one slot, half a minute an item: the others wait for minutes
            await shop.sweeper.sweep()
        depth = await shop.depth()
        assert depth.waiting + depth.in_flight <= 8 * 4
    while delivery := await shop.receive_if_any():
        await shop.processor().process(delivery)
    assert await total_messages(shop) == 0
    assert sorted(shop.analyzer.calls) == [dub(index) for index in range(40)]


async def test_64_items_that_end_at_once_all_count(shop: Workshop) -> None:
    batch_id = await shop.started(200, parallel_jobs=64)

    async def work_until_empty(worker_id: str) -> None:
        while delivery := await shop.receive_if_any():
            await shop.processor(worker_id).process(delivery)

    await asyncio.gather(*(work_until_empty(f"worker-{n}") for n in range(64)))
    while (await shop.batch(batch_id)).counters.ended < 200:
        await work_until_empty("worker-late")
    batch = await shop.batch(batch_id)
    assert (batch.status, batch.counters.completed) == (BatchStatus.COMPLETED, 200)
    assert await shop.events(batch_id) == ["batch.started", "batch.completed"]


async def send_again(shop: Workshop, batch_id: str, index: int) -> None:
    await shop.backend.work_queue.send(messages_for(await shop.batch(batch_id), [index]))


async def total_messages(shop: Workshop) -> int:
    depth = await shop.depth()
    return depth.waiting + depth.in_flight + depth.dead
