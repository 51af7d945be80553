"""The sweeper sets going again what stalled, and ends what nobody can finish."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from sync_core.domain.batch import BatchStatus, ItemEnd, ItemStatus, StartOptions
from sync_core.domain.errors import NotFound, StorageUnavailable
from sync_core.jobs.ports.work_queue import Message
from sync_core.jobs.process import Outcome
from sync_core.jobs.report_keys import report_key
from sync_core.jobs.sweep import Swept
from tests.fakes.analyzer import answers, found, never_ends
from tests.fakes.tap import TappedBackend, Trouble
from tests.fakes.workshop import Workshop, dub


async def claimed_but_never_sent(shop: Workshop, items: int = 1, parallel_jobs: int = 1) -> str:
    """Start a batch whose starter dies before it sends the first messages."""
    batch_id = await shop.uploaded(items)
    await shop.backend.batch_store.start(batch_id, StartOptions(parallel_jobs=parallel_jobs), shop.clock.now())
    return batch_id


async def drained(shop: Workshop) -> int:
    """Take all visible messages away, and count them."""
    count = 0
    while delivery := await shop.receive_if_any():
        await shop.backend.work_queue.delete(delivery)
        count += 1
    return count


async def test_a_claimed_item_whose_message_was_never_sent_is_sent(shop: Workshop) -> None:
    batch_id = await claimed_but_never_sent(shop)
    assert await shop.sweeper.sweep() == Swept(0, 0), "it is not overdue yet"
    shop.clock.advance(61)
    assert await shop.sweeper.sweep() == Swept(1, 0)
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED
    assert (await shop.batch(batch_id)).status is BatchStatus.COMPLETED


async def test_a_message_lost_again_and_again_is_sent_again_with_growing_pauses(shop: Workshop) -> None:
    await claimed_but_never_sent(shop)
    sent_at = []
    began = shop.clock.now()
    while shop.clock.now() < began + timedelta(hours=1):
        shop.clock.advance(15)
        await shop.sweeper.sweep()
        if await drained(shop):
            sent_at.append(shop.clock.now())
    pauses = [after - before for before, after in pairwise(sent_at)]
    assert len(pauses) >= 5
    assert pauses == sorted(pauses)
    assert pauses[0] >= timedelta(seconds=60)
    assert pauses[-1] <= timedelta(seconds=915), "a lost message must not wait for ever"


async def test_what_is_in_work_or_in_back_off_is_left_alone(shop: Workshop) -> None:
    batch_id = await shop.started(2)
    await shop.receive()
    await shop.backend.batch_store.begin_attempt(batch_id, 0, worker_id="a", now=shop.clock.now(), lease_seconds=3600)
    await shop.processor().process(await shop.receive())
    shop.clock.advance(600)
    assert await shop.sweeper.sweep() == Swept(0, 0)


async def test_items_that_ended_or_were_never_claimed_are_left_alone(shop: Workshop) -> None:
    await shop.uploaded(3)
    started = await shop.started(3, parallel_jobs=1)
    await shop.cancel(started)
    shop.clock.advance(3600)
    assert await shop.sweeper.sweep() == Swept(0, 0)


async def test_an_item_whose_worker_died_comes_back_without_its_message(shop: Workshop) -> None:
    batch_id = await shop.started()
    delivery = await shop.receive()
    await shop.backend.batch_store.begin_attempt(batch_id, 0, worker_id="a", now=shop.clock.now(), lease_seconds=60)
    await shop.backend.work_queue.delete(delivery)  # worst case: died with the message gone
    shop.clock.advance(121)
    assert await shop.sweeper.sweep() == Swept(1, 0)
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED


async def test_a_running_item_of_a_cancelled_batch_whose_worker_died_still_gets_its_end(shop: Workshop) -> None:
    batch_id = await shop.started()
    delivery = await shop.receive()
    await shop.backend.batch_store.begin_attempt(batch_id, 0, worker_id="a", now=shop.clock.now(), lease_seconds=60)
    await shop.backend.work_queue.delete(delivery)
    await shop.cancel(batch_id)
    assert (await shop.batch(batch_id)).counters.in_flight == 1
    shop.clock.advance(121)
    await shop.sweeper.sweep()
    await shop.processor().process(await shop.receive())
    counters = (await shop.batch(batch_id)).counters
    assert (counters.in_flight, counters.cancelled) == (0, 1)


async def make_dead(shop: Workshop) -> None:
    """Receive the visible message until it is a dead letter."""
    while await shop.receive_if_any(visibility_seconds=0):
        pass
    assert (await shop.depth()).dead == 1


async def test_a_dead_letters_item_is_ended_once_and_its_batch_goes_on(shop: Workshop) -> None:
    batch_id = await shop.started(2, parallel_jobs=1)
    await make_dead(shop)

    assert await shop.sweeper.sweep() == Swept(0, 1)
    assert await shop.sweeper.sweep() == Swept(0, 0)

    item = await shop.item(batch_id)
    assert (item.status, item.error_code) == (ItemStatus.FAILED, "ATTEMPTS_EXHAUSTED")
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED
    assert (await shop.batch(batch_id)).status is BatchStatus.COMPLETED
    depth = await shop.depth()
    assert (depth.waiting, depth.in_flight, depth.dead) == (0, 0, 0)


async def test_a_dead_letter_of_an_item_in_work_waits_for_the_end_of_that_attempt(shop: Workshop) -> None:
    batch_id = await shop.started(2, parallel_jobs=1)
    message = (await shop.receive(visibility_seconds=0)).message
    await make_dead(shop)
    await shop.backend.work_queue.send([message])
    finish = asyncio.Event()

    async def slow(_request, _on_progress):
        await finish.wait()
        return found()

    shop.analyzer.will(dub(0), slow)
    running = asyncio.create_task(shop.processor(paused=True).process(await shop.receive()))
    await shop.analyzer.begun.wait()

    assert await shop.sweeper.sweep() == Swept(0, 0)
    assert (await shop.depth()).dead == 1

    finish.set()
    assert await running is Outcome.SAVED
    shop.clock.advance(61)
    assert (await shop.sweeper.sweep()).ended_dead == 0
    assert (await shop.depth()).dead == 0
    assert (await shop.item(batch_id)).status is ItemStatus.COMPLETED


async def test_a_dead_letter_does_not_reopen_what_has_ended(shop: Workshop) -> None:
    batch_id = await shop.started(1)
    copy = await shop.receive(visibility_seconds=0)
    await shop.processor().process(await shop.receive(visibility_seconds=0))
    before = await shop.item(batch_id)
    await shop.backend.work_queue.send([copy.message])
    await make_dead(shop)

    assert await shop.sweeper.sweep() == Swept(0, 0)

    assert await shop.item(batch_id) == before
    assert (await shop.depth()).dead == 0
    assert await shop.events(batch_id) == ["batch.started", "batch.completed"]


async def test_a_dead_letter_of_an_ended_item_sends_the_successor_that_nobody_was_told_of(shop: Workshop) -> None:
    batch_id = await shop.started(2, parallel_jobs=1)
    store, now = shop.backend.batch_store, shop.clock.now()
    begun = await store.begin_attempt(batch_id, 0, worker_id="a", now=now, lease_seconds=60)
    end = ItemEnd(ItemStatus.FAILED, error="gone", error_code="MEDIA_NOT_FOUND")
    await store.finish(begun.lease, end, now=now)  # and dies; so do all who receive the message after it
    await make_dead(shop)

    await shop.sweeper.sweep()

    assert (await shop.receive()).message.item_index == 1


async def test_a_dead_letter_of_a_batch_that_is_gone_is_dropped(shop: Workshop) -> None:
    batch_id = await shop.uploaded()
    await shop.backend.work_queue.send(
        [Message("batch_20250828_140600_ffffffff", 0, (await shop.batch(batch_id)).priority)]
    )
    await make_dead(shop)
    assert await shop.sweeper.sweep() == Swept(0, 0)
    assert (await shop.depth()).dead == 0


async def test_a_dead_letter_takes_the_reports_of_its_attempts_along(shop: Workshop) -> None:
    batch_id = await shop.started(1)
    left = report_key(batch_id, 0, fence=1)
    await shop.backend.report_store.put(left, b"{}")  # by an attempt that died before its end
    await make_dead(shop)
    assert await shop.sweeper.sweep() == Swept(0, 1)
    with pytest.raises(NotFound):
        await shop.backend.report_store.get(left)


async def test_a_dead_letter_of_a_completed_item_leaves_its_report(shop: Workshop) -> None:
    batch_id = await shop.started(1)
    copy = await shop.receive(visibility_seconds=0)
    await shop.processor().process(await shop.receive(visibility_seconds=0))
    await shop.backend.report_store.put(report_key(batch_id, 0, fence=9), b"{}")
    await shop.backend.work_queue.send([copy.message])
    await make_dead(shop)
    await shop.sweeper.sweep()
    assert await shop.backend.report_store.get((await shop.item(batch_id)).report_key)
    with pytest.raises(NotFound):
        await shop.backend.report_store.get(report_key(batch_id, 0, fence=9))


async def test_an_item_whose_batch_has_expired_before_it_does_not_stop_the_others(shop: Workshop) -> None:
    await claimed_but_never_sent(shop)
    await claimed_but_never_sent(shop)
    shop.clock.advance(61)
    shop.backend = TappedBackend(shop.backend, Trouble("batch_store.get", NotFound("It has expired.")))
    assert await shop.sweeper.sweep() == Swept(2, 0)
    assert (await shop.depth()).waiting == 1
    assert await shop.sweeper.sweep() == Swept(0, 0), "it is not looked at all the time"


SWEEPER_CALLS = [
    "batch_store.stalled",
    "batch_store.get",
    "work_queue.send",
    "batch_store.mark_resent",
    "work_queue.receive_dead",
    "batch_store.end_abandoned",
    "report_store.discard",
    "work_queue.delete",
]


@pytest.mark.parametrize("after_effect", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("name", SWEEPER_CALLS)
async def test_it_may_die_anywhere_and_the_next_round_finishes_the_work(shop, name: str, after_effect: bool) -> None:
    poisoned = await shop.started(2, parallel_jobs=1)
    await make_dead(shop)
    stalled = await claimed_but_never_sent(shop)
    shop.clock.advance(61)
    backend = shop.backend
    trouble = Trouble(name, StorageUnavailable("killed"), after_effect=after_effect)
    shop.backend = TappedBackend(backend, trouble)
    with pytest.raises(StorageUnavailable):
        await shop.sweeper.sweep()
    shop.backend = backend

    for _ in range(20):
        shop.clock.advance(61)
        await shop.sweeper.sweep()
        while delivery := await shop.receive_if_any():
            await shop.processor().process(delivery)

    assert (await shop.batch(stalled)).status is BatchStatus.COMPLETED
    batch = await shop.batch(poisoned)
    assert batch.status is BatchStatus.COMPLETED
    assert (batch.counters.completed, batch.counters.failed) in [(1, 1), (2, 0)]
    depth = await shop.depth()
    assert (depth.waiting, depth.in_flight, depth.dead) == (0, 0, 0)


async def test_two_sweepers_at_once_do_no_more_than_one(shop: Workshop) -> None:
    batch_id = await shop.started(3, parallel_jobs=1)
    await make_dead(shop)
    swept = await asyncio.gather(*(shop.sweeper.sweep() for _ in range(8)))
    assert sum(one.ended_dead for one in swept) == 1
    assert (await shop.batch(batch_id)).counters.failed == 1


async def test_copies_of_the_message_of_a_long_job_do_not_die_and_fail_it(shop: Workshop) -> None:
    """Copies come from the sweeper while an item waits; a dead one would fail the item between two attempts."""
    batch_id = await shop.started()
    own = await shop.receive(visibility_seconds=7200)
    await shop.backend.work_queue.send([own.message] * 3)
    shop.analyzer.will(dub(0), never_ends(), answers(found()))
    running = asyncio.create_task(shop.processor(paused=True, lease_seconds=7200).process(own))
    await shop.analyzer.begun.wait()
    for _ in range(60):
        shop.clock.advance(100)
        while delivery := await shop.receive_if_any():
            await shop.processor("worker-b").process(delivery)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    await shop.sweeper.sweep()

    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED
    assert (await shop.item(batch_id)).status is ItemStatus.COMPLETED
