"""Long polls, in real time."""

from __future__ import annotations

import asyncio

from sync_core.backends.aws.open import AwsBackend
from sync_core.domain.batch import Priority
from sync_core.jobs.ports.work_queue import Message

ALL = tuple(Priority)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_waiting_in_vain_takes_the_time_that_was_given(backend: AwsBackend) -> None:
    await backend.work_queue.depth()
    before = now()
    assert await backend.work_queue.receive(ALL, visibility_seconds=30.0, wait_seconds=1.0) is None
    assert now() - before >= 0.9


async def test_waiting_ends_when_a_message_becomes_visible(ministack: AwsBackend) -> None:
    queue, before = ministack.work_queue, now()
    await queue.send([Message("batch_a", 3, Priority.LOW)], delay_seconds=0.6)
    delivery = await queue.receive(ALL, visibility_seconds=30.0, wait_seconds=20.0)
    assert delivery
    assert delivery.message.priority is Priority.LOW
    assert 0.5 <= now() - before < 10.0


async def test_a_message_that_no_part_of_the_system_sent_is_left(backend: AwsBackend) -> None:
    queue = backend.work_queue
    sqs = await backend.clients.sqs()
    for body in ("not json", '{"batch_id": "b"}', "[]"):
        await sqs.send_message(QueueUrl=backend.resources.queue_urls[Priority.HIGH], MessageBody=body)
    received = [await queue.receive(ALL, visibility_seconds=30.0) for _ in range(3)]
    assert received == [None] * 3
    assert (await queue.depth())[Priority.HIGH].in_flight == 3
