"""BatchStore: cancelling, at each state of a batch and of its items."""

from __future__ import annotations

import asyncio

import pytest

from sync_core.domain.batch import BatchStatus, EventType, Item, ItemStatus, StartOptions, visible_status
from sync_core.domain.errors import LeaseLost, WrongState
from sync_core.jobs.ports.batch_store import Refusal
from tests.conformance.batches import COMPLETED, FAILED, LEASE_SECONDS, STOPPED, Batches


async def shown(batches: Batches, batch_id: str) -> list[str]:
    batch = await batches.store.get(batch_id)
    return [visible_status(item, batch).value for item in await batches.store.items(batch_id, limit=100)]


async def test_a_batch_that_was_not_started(batches: Batches) -> None:
    batch_id = await batches.uploaded(3)
    change = await batches.cancel(batch_id)
    assert (change.batch.status, change.event) == (BatchStatus.CANCELLED, EventType.BATCH_CANCELLED)
    assert await batches.counts(batch_id) == (0, 0, 0, 0, 3)
    assert await shown(batches, batch_id) == ["cancelled"] * 3
    assert await batches.events(batch_id) == ["batch.cancelled"]
    with pytest.raises(WrongState):
        await batches.store.start(batch_id, StartOptions(), batches.clock.now())


async def test_pending_dispatched_leased_and_ended_items(batches: Batches) -> None:
    batch_id = await batches.started(6, parallel_jobs=3)
    await batches.do(batch_id, 0)  # claims 3
    leased = (await batches.begin(batch_id, 1)).lease
    change = await batches.cancel(batch_id)
    assert change.batch == await batches.store.get(batch_id)
    assert await batches.counts(batch_id) == (0, 1, 1, 0, 4)
    assert await shown(batches, batch_id) == ["completed", "processing", *["cancelled"] * 4]
    _, cancelled = await batches.store.renew(leased, now=batches.clock.now(), lease_seconds=LEASE_SECONDS)
    assert cancelled
    assert (await batches.finish(leased, STOPPED)).claimed == ()
    assert await batches.counts(batch_id) == (0, 0, 1, 0, 5)
    assert await batches.events(batch_id) == ["batch.started", "batch.cancelled"]


@pytest.mark.parametrize("end", [COMPLETED, FAILED, STOPPED])
async def test_a_running_item_may_still_end_in_any_way(batches: Batches, end: object) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    await batches.cancel(batch_id)
    change = await batches.finish(lease, end)  # type: ignore[arg-type]
    assert (change.batch.status, change.event) == (BatchStatus.CANCELLED, None)
    assert (await batches.item(batch_id)).status is end.status  # type: ignore[attr-defined]


async def test_repeating_it_changes_nothing(batches: Batches) -> None:
    batch_id = await batches.started(4)
    await batches.begin(batch_id)
    first = await batches.cancel(batch_id)
    batches.clock.advance(1)
    repeated = await batches.cancel(batch_id)
    assert (repeated.batch, repeated.event) == (first.batch, None)
    assert await batches.events(batch_id) == ["batch.started", "batch.cancelled"]


async def test_repeating_it_ends_what_was_leased_then_and_is_not_now(batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    await batches.cancel(batch_id)
    batches.clock.advance(LEASE_SECONDS)
    await batches.cancel(batch_id)
    assert await batches.counts(batch_id) == (0, 0, 0, 0, 1)
    with pytest.raises(LeaseLost):
        await batches.finish(lease)


@pytest.mark.parametrize("end", [COMPLETED, FAILED])
async def test_an_ended_batch_stays_ended(batches: Batches, end: object) -> None:
    batch_id = await batches.started(1)
    await batches.do(batch_id, 0, end)  # type: ignore[arg-type]
    before = await batches.store.get(batch_id)
    with pytest.raises(WrongState):
        await batches.cancel(batch_id)
    assert await batches.store.get(batch_id) == before


async def test_an_attempt_at_a_dispatched_item_comes_too_late(batches: Batches) -> None:
    batch_id = await batches.started(2)
    await batches.cancel(batch_id)
    assert (await batches.refused(batch_id, 0)).reason is Refusal.ENDED


async def test_a_lease_that_ends_after_it_ends_the_item_at_redelivery(batches: Batches) -> None:
    batch_id = await batches.started(2)
    lease = (await batches.begin(batch_id)).lease
    await batches.cancel(batch_id)
    assert (await batches.refused(batch_id, 0, "worker-b")).reason is Refusal.LEASED
    batches.clock.advance(LEASE_SECONDS)
    refused = await batches.refused(batch_id, 0, "worker-b")
    assert refused.reason is Refusal.CANCELLED
    assert refused.item
    assert refused.batch
    assert (refused.item.status, refused.batch.counters.cancelled) == (ItemStatus.CANCELLED, 2)
    assert (await batches.refused(batch_id, 0, "worker-b")).reason is Refusal.ENDED
    with pytest.raises(LeaseLost):
        await batches.finish(lease)
    assert await batches.counts(batch_id) == (0, 0, 0, 0, 2)


async def test_a_released_item_ends_at_redelivery(batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    await batches.cancel(batch_id)
    await batches.store.release(lease, now=batches.clock.now(), count_attempt=False)
    assert (await batches.refused(batch_id)).reason is Refusal.CANCELLED
    assert await batches.counts(batch_id) == (0, 0, 0, 0, 1)


async def test_cancel_during_start(batches: Batches) -> None:
    for _ in range(10):
        batch_id = await batches.uploaded(5)
        start = batches.store.start(batch_id, StartOptions(), batches.clock.now())
        started, _ = await asyncio.gather(start, batches.cancel(batch_id), return_exceptions=True)
        events = await batches.events(batch_id)
        assert await batches.counts(batch_id) == (0, 0, 0, 0, 5)
        assert events == (
            ["batch.cancelled"] if isinstance(started, WrongState) else ["batch.started", "batch.cancelled"]
        )


async def test_cancel_while_items_finish(batches: Batches) -> None:
    batch_id = await batches.started(60, parallel_jobs=8)

    async def work(todo: list[int]) -> None:
        while todo:
            begun = await batches.attempt(batch_id, todo.pop())
            if hasattr(begun, "lease"):
                todo += (await batches.finish(begun.lease)).claimed

    async def cancel() -> None:
        completed = 0
        while completed < 20:
            completed = (await batches.store.get(batch_id)).counters.completed
        await batches.cancel(batch_id)

    await asyncio.gather(cancel(), *(work([index]) for index in range(8)))
    _, in_flight, completed, _, cancelled = await batches.counts(batch_id)
    assert (in_flight, completed + cancelled) == (0, 60)
    assert completed < 60
    assert await batches.events(batch_id) == ["batch.started", "batch.cancelled"]


async def stalled(batches: Batches, **options: int) -> list[int]:
    found: tuple[Item, ...] = await batches.store.stalled(now=batches.clock.now(), limit=options.get("limit", 100))
    return sorted(item.index for item in found)


async def test_a_claimed_item_whose_message_is_lost_stalls(batches: Batches) -> None:
    batch_id = await batches.started(4, parallel_jobs=3)
    assert await stalled(batches) == []
    batches.clock.advance(61)
    assert await stalled(batches) == [0, 1, 2]
    assert len(await stalled(batches, limit=2)) == 2
    await batches.do(batch_id, 0)
    await batches.begin(batch_id, 1)
    assert await stalled(batches) == [2]
    (item,) = await batches.store.stalled(now=batches.clock.now(), limit=9)
    assert item == await batches.item(batch_id, 2)


async def test_sending_again_backs_off_up_to_a_quarter_of_an_hour(batches: Batches) -> None:
    batch_id = await batches.started(1)
    waits = []
    for _ in range(7):
        waited = 0
        while await stalled(batches) == []:
            batches.clock.advance(10)
            waited += 10
        waits.append(waited)
        await batches.store.mark_resent(batch_id, 0, now=batches.clock.now())
    assert waits == sorted(waits)
    assert waits[0] <= 120
    assert waits[-1] == waits[-2] == 900


async def test_a_dead_workers_item_stalls_after_its_lease(batches: Batches) -> None:
    batch_id = await batches.started(1)
    await batches.begin(batch_id)
    batches.clock.advance(LEASE_SECONDS - 1)
    await batches.store.mark_resent(batch_id, 0, now=batches.clock.now())
    assert await stalled(batches) == []
    batches.clock.advance(2 * LEASE_SECONDS)
    assert await stalled(batches) == [0]


async def test_ended_items_and_unknown_ones_are_not_marked(batches: Batches) -> None:
    batch_id = await batches.started(1)
    await batches.do(batch_id, 0)
    before = await batches.item(batch_id)
    await batches.store.mark_resent(batch_id, 0, now=batches.clock.now())
    await batches.store.mark_resent(batch_id, 7, now=batches.clock.now())
    batches.clock.advance(10_000)
    assert await batches.item(batch_id) == before
    assert await stalled(batches) == []


async def test_items_of_cancelled_batches_stall_too(batches: Batches) -> None:
    batch_id = await batches.started(1)
    await batches.begin(batch_id)
    await batches.cancel(batch_id)
    batches.clock.advance(3 * LEASE_SECONDS)
    assert await stalled(batches) == [0]
