"""WorkQueue: what SQS promises, and no more."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from sync_core.domain.batch import Priority
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.work_queue import Delivery, Message, QueueDepth, WorkQueue
from tests.conformance.adapters import MAX_RECEIVES
from tests.fakes.clock import FakeClock

ALL = tuple(Priority)
VISIBILITY_SECONDS = 60.0


@pytest.fixture
def queue(backend: Backend) -> WorkQueue:
    return backend.work_queue


def message(index: int = 0, *, batch: str = "batch_a", priority: Priority = Priority.NORMAL) -> Message:
    return Message(batch, index, priority)


async def receive(queue: WorkQueue, *priorities: Priority) -> Delivery | None:
    return await queue.receive(priorities or ALL, visibility_seconds=VISIBILITY_SECONDS)


async def received(queue: WorkQueue) -> Delivery:
    delivery = await receive(queue)
    assert delivery
    return delivery


async def drained(queue: WorkQueue) -> list[Message]:
    messages = []
    while delivery := await receive(queue):
        messages.append(delivery.message)
    return messages


async def depth(queue: WorkQueue, priority: Priority = Priority.NORMAL) -> QueueDepth:
    return (await queue.depth())[priority]


async def test_a_message_is_received_once_and_gone_when_deleted(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message(7)])
    delivery = await received(queue)
    assert (delivery.message, delivery.receive_count) == (message(7), 1)
    assert await receive(queue) is None
    await queue.delete(delivery)
    clock.advance(2 * VISIBILITY_SECONDS)
    assert await receive(queue) is None


async def test_an_empty_queue_gives_nothing(queue: WorkQueue) -> None:
    await queue.send([])
    assert await receive(queue) is None
    assert await queue.receive((), visibility_seconds=1.0) is None


async def test_a_message_that_is_not_deleted_comes_again(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message()])
    first = await received(queue)
    clock.advance(VISIBILITY_SECONDS - 1)
    assert await receive(queue) is None
    clock.advance(1)
    second = await received(queue)
    assert (second.message, second.receive_count) == (first.message, 2)
    assert second.receipt_handle != first.receipt_handle


async def test_a_stale_receipt_handle_does_nothing(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message()])
    stale = await received(queue)
    clock.advance(VISIBILITY_SECONDS)
    await received(queue)
    await queue.delete(stale)
    await queue.extend(stale, visibility_seconds=0.0)
    assert await receive(queue) is None
    await queue.extend(stale, visibility_seconds=10 * VISIBILITY_SECONDS)
    clock.advance(VISIBILITY_SECONDS)
    assert (await received(queue)).receive_count == 3


async def test_the_receipt_of_a_deleted_message_does_not_touch_a_new_one(queue: WorkQueue) -> None:
    await queue.send([message(1)])
    old = await received(queue)
    await queue.delete(old)
    await queue.send([message(2)])
    new = await received(queue)
    await queue.delete(old)
    await queue.extend(old, visibility_seconds=0.0)
    assert await receive(queue) is None
    assert (await depth(queue)).in_flight == 1
    await queue.delete(new)


async def test_a_timeout_that_ran_out_may_still_be_acknowledged(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message()])
    delivery = await received(queue)
    clock.advance(2 * VISIBILITY_SECONDS)
    await queue.delete(delivery)
    assert await receive(queue) is None


async def test_extending_hides_for_longer_or_gives_back(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message()])
    delivery = await received(queue)
    clock.advance(VISIBILITY_SECONDS - 1)
    await queue.extend(delivery, visibility_seconds=VISIBILITY_SECONDS)
    clock.advance(VISIBILITY_SECONDS - 1)
    assert await receive(queue) is None
    await queue.extend(delivery, visibility_seconds=0.0)
    assert (await received(queue)).receive_count == 2


async def test_a_delayed_message_comes_later(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message()], delay_seconds=30.0)
    assert await receive(queue) is None
    assert await depth(queue) == QueueDepth(waiting=1, in_flight=0, dead=0)
    clock.advance(30)
    assert await receive(queue)


async def test_queues_are_tried_in_the_order_given(queue: WorkQueue) -> None:
    await queue.send([message(n, priority=priority) for n, priority in enumerate(ALL)])
    assert await receive(queue, Priority.LOW)
    order = (Priority.LOW, Priority.NORMAL, Priority.HIGH)
    taken = [await receive(queue, *order), await receive(queue, *order)]
    assert [each and each.message.priority for each in taken] == [Priority.NORMAL, Priority.HIGH]


async def test_another_queue_is_not_touched(queue: WorkQueue) -> None:
    await queue.send([message(priority=Priority.LOW)])
    assert await receive(queue, Priority.HIGH, Priority.NORMAL) is None
    assert (await depth(queue, Priority.LOW)).waiting == 1


async def test_what_is_received_too_often_becomes_a_dead_letter(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message(1), message(2)])
    survivor = await received(queue)
    await queue.delete(survivor)
    for _ in range(MAX_RECEIVES):
        last = await received(queue)
        clock.advance(VISIBILITY_SECONDS)
    assert await receive(queue) is None
    assert await depth(queue) == QueueDepth(waiting=0, in_flight=0, dead=1)
    (dead,) = await queue.receive_dead(limit=10, visibility_seconds=VISIBILITY_SECONDS)
    assert dead.message == last.message
    await queue.delete(last)  # stale by now
    assert (await depth(queue)).dead == 1
    await queue.delete(dead)
    assert (await depth(queue)).dead == 0


async def test_a_dead_letter_does_not_hide_what_is_behind_it(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message(1)])
    for _ in range(MAX_RECEIVES):
        await received(queue)
        clock.advance(VISIBILITY_SECONDS)
    await queue.send([message(2)])
    assert (await received(queue)).message == message(2)


async def test_dead_letters_are_hidden_while_they_are_handled(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message(n, priority=priority) for n, priority in enumerate(ALL)])
    for _ in range(MAX_RECEIVES):
        await drained(queue)
        clock.advance(VISIBILITY_SECONDS)
    assert await drained(queue) == []
    first = await queue.receive_dead(limit=2, visibility_seconds=VISIBILITY_SECONDS)
    rest = await queue.receive_dead(limit=2, visibility_seconds=VISIBILITY_SECONDS)
    assert (len(first), len(rest)) == (2, 1)
    assert {each.message.priority for each in (*first, *rest)} == set(ALL)
    clock.advance(VISIBILITY_SECONDS)
    assert len(await queue.receive_dead(limit=10, visibility_seconds=VISIBILITY_SECONDS)) == 3
    for stale in (*first, *rest):
        await queue.delete(stale)
    assert sum(each.dead for each in (await queue.depth()).values()) == 3


async def test_depth_counts_each_message_once(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message(n) for n in range(5)])
    await queue.send([message(9)], delay_seconds=500.0)
    await received(queue)
    await received(queue)
    assert await depth(queue) == QueueDepth(waiting=4, in_flight=2, dead=0)
    assert await depth(queue, Priority.HIGH) == QueueDepth(0, 0, 0)
    clock.advance(VISIBILITY_SECONDS)
    assert await depth(queue) == QueueDepth(waiting=6, in_flight=0, dead=0)


async def test_many_receivers_get_each_message_once(queue: WorkQueue) -> None:
    await queue.send([message(n, batch=f"batch_{n % 7}") for n in range(100)])
    taken = await asyncio.gather(*(receive(queue) for _ in range(120)))
    assert Counter(each.message for each in taken if each).most_common(1)[0][1] == 1
    assert sum(each is None for each in taken) == 20


async def test_a_duplicate_is_a_message_of_its_own(queue: WorkQueue) -> None:
    await queue.send([message(1), message(1)])
    first, second = await received(queue), await received(queue)
    await queue.delete(first)
    assert first.message == second.message
    assert (await depth(queue)).in_flight == 1


async def test_a_large_batch_does_not_delay_a_small_one(queue: WorkQueue) -> None:
    await queue.send([message(n, batch="batch_large") for n in range(64)])
    for _ in range(5):
        await received(queue)
    await queue.send([message(n, batch="batch_small") for n in range(2)])
    taken = [(await received(queue)).message.batch_id for _ in range(4)]
    assert taken.count("batch_small") == 2


async def test_batches_share_the_workers_evenly(queue: WorkQueue) -> None:
    for batch in ("batch_a", "batch_b", "batch_c"):
        await queue.send([message(n, batch=batch) for n in range(20)])
    taken = Counter([(await received(queue)).message.batch_id for _ in range(30)])
    assert set(taken.values()) == {10}


async def test_waiting_ends_when_a_message_arrives(queue: WorkQueue, clock: FakeClock) -> None:
    before = clock.now()

    async def send_later() -> None:
        await clock.sleep(3.0)
        await queue.send([message(5, priority=Priority.LOW)])

    waiting = queue.receive(ALL, visibility_seconds=VISIBILITY_SECONDS, wait_seconds=20.0)
    delivery, _ = await asyncio.gather(waiting, send_later())
    assert delivery
    assert 3.0 <= (clock.now() - before).total_seconds() <= 3.25


async def test_waiting_ends_when_a_message_becomes_visible(queue: WorkQueue, clock: FakeClock) -> None:
    before = clock.now()
    await queue.send([message()], delay_seconds=5.0)
    assert await queue.receive(ALL, visibility_seconds=VISIBILITY_SECONDS, wait_seconds=20.0)
    assert 5.0 <= (clock.now() - before).total_seconds() <= 6.5


async def test_waiting_in_vain_takes_the_time_that_was_given(queue: WorkQueue, clock: FakeClock) -> None:
    before = clock.now()
    assert await queue.receive(ALL, visibility_seconds=VISIBILITY_SECONDS, wait_seconds=2.0) is None
    assert (clock.now() - before).total_seconds() == pytest.approx(2.0, abs=0.2)


async def test_a_receiver_that_was_cancelled_takes_no_message_for_long(queue: WorkQueue, clock: FakeClock) -> None:
    await queue.send([message()])
    for _ in range(MAX_RECEIVES - 1):
        waiting = asyncio.create_task(receive(queue))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    clock.advance(VISIBILITY_SECONDS)
    assert (await received(queue)).message == message()
