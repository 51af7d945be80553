"""A lease is held by renewing it, and whoever lost it writes nothing that counts."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sync_core.domain.batch import BatchStatus, ItemEnd, ItemStatus
from sync_core.domain.errors import LeaseLost, MediaNotFound, StorageUnavailable
from sync_core.jobs.process import Outcome
from sync_core.jobs.start import messages_for
from tests.fakes.analyzer import answers, found, never_ends, raises
from tests.fakes.clock import SkewedClock
from tests.fakes.tap import TappedBackend, Trouble
from tests.fakes.workshop import Workshop, dub


def works_for(shop: Workshop, seconds: float, result=None):
    async def act(_request, _on_progress):
        await shop.clock.sleep(seconds)
        return result or found()

    return act


async def test_a_job_longer_than_its_visibility_timeout_stays_with_its_worker(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), works_for(shop, 1000))
    delivery = await shop.receive(visibility_seconds=60)
    processing = asyncio.create_task(shop.processor().process(delivery))

    others = [await shop.receive_if_any() for _ in range(50) if not await asyncio.sleep(0.002)]

    assert await processing is Outcome.SAVED
    assert set(others) == {None}
    item = await shop.item(batch_id)
    assert (item.attempt, shop.analyzer.calls) == (1, [dub(0)])
    assert item.ended_at - item.started_at >= timedelta(seconds=1000)


async def test_the_lease_is_renewed_well_before_it_ends(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), never_ends())
    processing = asyncio.create_task(shop.processor().process(await shop.receive()))
    await shop.analyzer.begun.wait()
    began = shop.clock.now()
    while shop.clock.now() < began + timedelta(seconds=300):
        assert (await shop.item(batch_id)).is_leased(shop.clock.now())
        await asyncio.sleep(0.002)
    await cancel_and_wait(processing)


async def test_a_worker_whose_lease_was_taken_stops_and_writes_nothing(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), never_ends())
    delivery = await shop.receive()
    late = asyncio.create_task(shop.processor("late").process(delivery))
    await shop.analyzer.begun.wait()

    other = await take_over(shop, batch_id)

    assert await late is Outcome.LOST
    assert shop.analyzer.cancelled == [dub(0)]
    item = await shop.item(batch_id)
    assert (item.leased_by, item.status, item.fence) == ("other", ItemStatus.PROCESSING, other.fence)
    assert shop.reports() == []


@pytest.mark.parametrize("act", [answers(found(-1.0)), raises(MediaNotFound("gone"))], ids=["result", "failure"])
async def test_a_paused_worker_that_ends_late_changes_nothing_and_acknowledges_nothing(shop, act) -> None:
    batch_id = await shop.started()
    paused, go_on = asyncio.Event(), asyncio.Event()

    async def paused_act(request, on_progress):
        paused.set()
        await go_on.wait()
        return await act(request, on_progress)

    shop.analyzer.will(dub(0), paused_act)
    late = asyncio.create_task(shop.processor("late", paused=True).process(await shop.receive()))
    await paused.wait()
    shop.clock.advance(61)
    redelivered = await shop.receive()
    await take_over(shop, batch_id)
    go_on.set()

    assert await late is Outcome.LOST

    assert (await shop.item(batch_id)).status is ItemStatus.PROCESSING
    assert shop.reports() == [], "the late report would be taken for the item's"
    assert (await shop.depth()).in_flight == 1, "the message is the other worker's to acknowledge"
    assert redelivered.receive_count == 2


async def take_over(shop: Workshop, batch_id: str):
    """Let another worker begin the item as if the lease had run out."""
    begun = await shop.backend.batch_store.begin_attempt(
        batch_id, 0, worker_id="other", now=shop.clock.now() + timedelta(days=1), lease_seconds=60
    )
    return begun.lease


async def test_a_worker_whose_clock_is_ahead_may_take_over_too_soon_but_the_item_ends_once(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), never_ends(), answers(found(-2.0)))
    slow = asyncio.create_task(shop.processor("slow").process(await shop.receive()))
    await shop.analyzer.begun.wait()
    await shop.backend.work_queue.send(messages_for(await shop.batch(batch_id), [0]))
    hasty = replace(shop.processor("hasty"), clock=SkewedClock(shop.clock, ahead_seconds=300))

    assert await hasty.process(await shop.receive()) is Outcome.SAVED

    assert await slow is Outcome.LOST
    assert (await shop.item(batch_id)).result["offset_seconds"] == -2.0
    assert (await shop.batch(batch_id)).counters.completed == 1
    assert shop.reports() == [f"{batch_id}/item_001-2.json"]


async def test_storage_trouble_during_heartbeats_is_endured_while_the_lease_lasts(shop: Workshop) -> None:
    batch_id = await shop.started()
    delivery = await shop.receive()
    shop.analyzer.will(dub(0), works_for(shop, 120))
    trouble = Trouble("batch_store.renew", StorageUnavailable("the disk is full"), times=9)
    shop.backend = TappedBackend(shop.backend, trouble)

    assert await shop.processor().process(delivery) is Outcome.SAVED

    assert trouble.left == 0
    assert (await shop.item(batch_id)).attempt == 1


async def test_a_lease_that_cannot_be_renewed_until_its_end_is_given_up(shop: Workshop) -> None:
    batch_id = await shop.started()
    delivery = await shop.receive()
    began = shop.clock.now()
    shop.analyzer.will(dub(0), never_ends())
    trouble = Trouble("batch_store.renew", StorageUnavailable("the disk is full"), times=1000)
    shop.backend = TappedBackend(shop.backend, trouble)

    assert await shop.processor().process(delivery) is Outcome.LOST

    lease, heartbeat = timedelta(seconds=60), timedelta(seconds=5)
    assert lease <= shop.clock.now() - began < lease + heartbeat
    assert shop.analyzer.cancelled == [dub(0)]
    assert trouble.calls[-1] == "batch_store.renew", "nothing may be written once the lease is over"
    assert not (await shop.item(batch_id)).status.is_terminal


async def test_each_heartbeat_writes_a_line_with_slot_item_stage_and_percent(shop: Workshop, caplog) -> None:
    await shop.started()
    delivery = await shop.receive()
    shop.analyzer.will(dub(0), never_ends())
    processing = asyncio.create_task(shop.processor().process(delivery, slot=3))
    with caplog.at_level("INFO", logger="sync_core.jobs.process"):
        while not (lines := [record for record in caplog.records if record.message == "heartbeat"]):
            await asyncio.sleep(0.001)
    processing.cancel()
    await asyncio.gather(processing, return_exceptions=True)
    assert (lines[0].slot, lines[0].item_id, lines[0].attempt) == (3, "item_001", 1)
    assert lines[0].stage in {"queued", "decoding", "comparing"}
    assert 0.0 <= lines[0].percent <= 100.0


async def test_a_heartbeat_that_dies_of_a_bug_ends_the_attempt_instead_of_working_on_unseen(shop: Workshop) -> None:
    batch_id = await shop.started()
    delivery = await shop.receive()
    shop.analyzer.will(dub(0), never_ends())
    shop.backend = TappedBackend(shop.backend, Trouble("batch_store.renew", AttributeError("a bug")))

    assert await shop.processor().process(delivery) is Outcome.BUG

    assert shop.analyzer.cancelled == [dub(0)]
    item = await shop.item(batch_id)
    assert (item.leased_by, item.attempt) == (None, 1)


async def test_a_running_item_stops_within_a_heartbeat_of_the_cancelling_and_counts(shop: Workshop) -> None:
    batch_id = await shop.started(3, parallel_jobs=1)
    shop.analyzer.will(dub(0), never_ends())
    processing = asyncio.create_task(shop.processor().process(await shop.receive()))
    await shop.analyzer.begun.wait()

    cancelled = await shop.cancel(batch_id)
    cancelled_at = shop.clock.now()
    assert cancelled.status is BatchStatus.CANCELLED
    assert (cancelled.counters.in_flight, cancelled.counters.cancelled) == (1, 2)

    assert await processing is Outcome.SAVED
    assert shop.clock.now() - cancelled_at <= timedelta(seconds=5)
    assert shop.analyzer.cancelled == [dub(0)]
    counters = (await shop.batch(batch_id)).counters
    assert (counters.in_flight, counters.cancelled, counters.ended) == (0, 3, 3)
    assert await shop.receive_if_any() is None
    assert await shop.events(batch_id) == ["batch.started", "batch.cancelled"]


async def test_a_dispatched_item_of_a_cancelled_batch_is_not_analysed(shop: Workshop) -> None:
    batch_id = await shop.started(5, parallel_jobs=2)
    await shop.cancel(batch_id)
    outcomes = [await shop.processor().process(await shop.receive()) for _ in range(2)]
    assert outcomes == [Outcome.REPEATED] * 2
    assert shop.analyzer.calls == []
    assert (await shop.batch(batch_id)).counters.cancelled == 5
    assert await shop.receive_if_any() is None


async def test_an_item_that_ends_after_the_cancelling_keeps_its_result_and_claims_nothing(shop: Workshop) -> None:
    batch_id = await shop.started(3, parallel_jobs=1)

    async def cancelled_meanwhile(_request, _on_progress):
        await shop.cancel(batch_id)
        return found()

    shop.analyzer.will(dub(0), cancelled_meanwhile)
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED
    batch = await shop.batch(batch_id)
    assert (batch.status, batch.counters.completed, batch.counters.cancelled) == (BatchStatus.CANCELLED, 1, 2)
    assert await shop.receive_if_any() is None


async def test_a_shutdown_releases_the_item_at_once_without_counting_the_attempt(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), never_ends(), answers(found()))
    processing = asyncio.create_task(shop.processor().process(await shop.receive()))
    await shop.analyzer.begun.wait()

    await cancel_and_wait(processing)

    item = await shop.item(batch_id)
    assert (item.attempt, item.leased_by, item.status) == (0, None, ItemStatus.PROCESSING)
    assert await shop.processor("worker-b").process(await shop.receive()) is Outcome.SAVED
    assert (await shop.item(batch_id)).attempt == 1


async def test_releases_alone_never_poison_an_item(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), *[never_ends()] * 8, answers(found()))
    for _ in range(8):
        shop.analyzer.begun.clear()
        processing = asyncio.create_task(shop.processor().process(await shop.receive()))
        await shop.analyzer.begun.wait()
        await cancel_and_wait(processing)
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED
    assert (await shop.item(batch_id)).status is ItemStatus.COMPLETED


async def test_an_end_whose_commit_is_unknown_is_stored_once(shop: Workshop) -> None:
    batch_id = await shop.started(3, parallel_jobs=1)
    delivery = await shop.receive()
    trouble = Trouble("batch_store.finish", StorageUnavailable("connection lost"), times=2, after_effect=True)
    shop.backend = TappedBackend(shop.backend, trouble)

    assert await shop.processor().process(delivery) is Outcome.SAVED

    counters = (await shop.batch(batch_id)).counters
    assert (counters.completed, counters.next_item, counters.in_flight) == (1, 2, 1)
    assert (await shop.depth()).waiting == 1


async def test_an_end_that_cannot_be_stored_is_tried_anew_later(shop: Workshop) -> None:
    batch_id = await shop.started()
    delivery, backend = await shop.receive(), shop.backend
    shop.backend = TappedBackend(backend, Trouble("batch_store.finish", StorageUnavailable("full"), times=99))
    assert await shop.processor().process(delivery) is Outcome.LATER
    shop.backend = backend
    shop.clock.advance(10)
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED
    assert shop.reports() == [f"{batch_id}/item_001-2.json"], "the first attempt's report is of no use any more"


async def test_an_unused_report_that_cannot_be_removed_holds_nothing_up_and_goes_later(shop: Workshop) -> None:
    batch_id = await shop.started(2, parallel_jobs=1)
    await shop.backend.report_store.put(f"{batch_id}/item_001-1.json", b"left by a crash")
    shop.analyzer.will(dub(0), raises(StorageUnavailable("x")), answers(found()))
    await shop.processor().process(await shop.receive())
    shop.clock.advance(10)
    delivery, backend = await shop.receive(), shop.backend
    shop.backend = TappedBackend(backend, Trouble("report_store.discard", StorageUnavailable("read-only")))

    await shop.processor().process(delivery)

    shop.backend = backend
    assert (await shop.batch(batch_id)).counters.completed == 1
    assert await shop.processor().process(await shop.receive()) is Outcome.SAVED
    assert (await shop.batch(batch_id)).status is BatchStatus.COMPLETED
    shop.clock.advance(61)
    assert await shop.processor().process(await shop.receive()) is Outcome.REPEATED
    assert shop.reports() == [f"{batch_id}/item_001-2.json", f"{batch_id}/item_002-1.json"]


async def test_a_stale_fence_is_refused_by_every_write(shop: Workshop) -> None:
    batch_id = await shop.started()
    store, now = shop.backend.batch_store, shop.clock.now()
    stale = (await store.begin_attempt(batch_id, 0, worker_id="a", now=now, lease_seconds=60)).lease
    await take_over(shop, batch_id)
    with pytest.raises(LeaseLost):
        await store.renew(stale, now=now, lease_seconds=60)
    with pytest.raises(LeaseLost):
        await store.release(stale, now=now, count_attempt=False)
    with pytest.raises(LeaseLost):
        await store.finish(stale, ItemEnd(ItemStatus.COMPLETED, {}, 1.0), now=now)


async def cancel_and_wait(task: asyncio.Task) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
