"""Bringing events to their receivers: at least once, under one id, and never at a batch's cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemEnd, ItemStatus, Priority, StartOptions
from sync_core.domain.errors import StorageUnavailable
from sync_core.domain.ids import new_batch_id
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.deliver_webhooks import DeliverWebhook, DeliveryLoop, DeliveryPolicy
from sync_core.jobs.ports.batch_store import Begun
from sync_core.jobs.ports.event_outbox import DeliveryStatus, Event, WebhookDelivery
from sync_core.jobs.ports.webhook_sender import Answer
from tests.fakes.tap import TappedBackend, Trouble
from tests.fakes.waiting import until
from tests.fakes.workshop import Workshop, open_workshop, request

URL = "https://a.example/hook"
OK = Answer(204)


class ScriptedSender:
    """Gives the answers it was told to, the last one for ever, and keeps what it was to send."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers or [OK])
        self.obstacle: str | None = None
        self.sent: list[Event] = []
        self.act: Callable[[Event], Any] | None = None

    async def send(self, event: Event, **_: object) -> Answer:
        self.sent.append(event)
        if self.act is not None:
            await self.act(event)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def close(self) -> None:
        pass


@pytest.fixture
async def shop(data_dir: Path) -> AsyncIterator[Workshop]:
    async with open_workshop(data_dir) as opened:
        yield opened


@pytest.fixture
def sender() -> ScriptedSender:
    return ScriptedSender()


def loop_of(shop: Workshop, sender: ScriptedSender, **policy: object) -> DeliveryLoop:
    deliver = DeliverWebhook(shop.backend.event_outbox, sender, shop.clock, luck=lambda: 0.0)
    return DeliveryLoop(deliver, DeliveryPolicy(**policy))


async def started(shop: Workshop, url: str | None = URL, items: int = 1) -> str:
    now = shop.clock.now()
    batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(items), 2, Priority.NORMAL, now, webhook_url=url)
    await shop.backend.batch_store.create(batch, [request(index) for index in range(items)])
    await shop.start_batch.start(batch.batch_id, StartOptions(parallel_jobs=items))
    return batch.batch_id


async def finish(shop: Workshop, batch_id: str) -> None:
    store, now = shop.backend.batch_store, shop.clock.now()
    begun = await store.begin_attempt(batch_id, 0, worker_id="w", now=now, lease_seconds=60)
    assert isinstance(begun, Begun)
    await store.finish(begun.lease, ItemEnd(ItemStatus.COMPLETED, {}), now=now)


async def deliveries(shop: Workshop, batch_id: str) -> list[WebhookDelivery]:
    return list(await shop.backend.event_outbox.deliveries(batch_id))


async def drain(loop: DeliveryLoop, shop: Workshop) -> None:
    await loop.drain(until=shop.clock.now() + timedelta(seconds=1))


async def statuses(shop: Workshop, batch_id: str) -> list[DeliveryStatus]:
    return [delivery.status for delivery in await deliveries(shop, batch_id)]


async def test_each_event_of_a_batch_is_delivered_once(shop: Workshop, sender: ScriptedSender):
    batch_id = await started(shop)
    await finish(shop, batch_id)
    loop = loop_of(shop, sender)
    await drain(loop, shop)
    await drain(loop, shop)
    assert sorted(event.event_type for event in sender.sent) == ["batch.completed", "batch.started"]
    assert await statuses(shop, batch_id) == [DeliveryStatus.DELIVERED] * 2


async def test_an_event_without_a_receiver_is_sent_nowhere(shop: Workshop, sender: ScriptedSender):
    await started(shop, url=None)
    await drain(loop_of(shop, sender), shop)
    assert sender.sent == []


async def test_a_failed_attempt_is_repeated_under_the_same_id_with_the_same_bytes(
    shop: Workshop, sender: ScriptedSender
):
    sender.answers = [Answer(500, "It answered 500."), Answer(None, "No answer."), OK]
    batch_id = await started(shop)
    loop = loop_of(shop, sender)
    for wait_seconds in (0, 5, 300):
        shop.clock.advance(wait_seconds)
        await drain(loop, shop)
    (delivery,) = await deliveries(shop, batch_id)
    assert delivery.status is DeliveryStatus.DELIVERED
    assert [attempt.error for attempt in delivery.attempts] == ["It answered 500.", "No answer.", None]
    assert len(sender.sent) == 3
    assert len({(event.event_id, event.body) for event in sender.sent}) == 1


async def test_nothing_is_sent_before_its_time(shop: Workshop, sender: ScriptedSender):
    sender.answers = [Answer(503, "Later.", retry_after_seconds=7200.0)]
    batch_id = await started(shop)
    loop = loop_of(shop, sender)
    await drain(loop, shop)
    shop.clock.advance(7199)
    await drain(loop, shop)
    assert len(sender.sent) == 1
    (delivery,) = await deliveries(shop, batch_id)
    assert delivery.next_attempt_at == delivery.attempts[0].began_at + timedelta(hours=2)


async def test_a_410_stops_that_batch_and_no_other(shop: Workshop, sender: ScriptedSender):
    sender.answers = [Answer(410, "It answered 410."), OK]
    batch_id = await started(shop)
    loop = loop_of(shop, sender)
    await drain(loop, shop)
    await finish(shop, batch_id)
    other = await started(shop)
    await drain(loop, shop)
    assert await statuses(shop, batch_id) == [DeliveryStatus.DISABLED] * 2
    assert await statuses(shop, other) == [DeliveryStatus.DELIVERED]
    assert len(sender.sent) == 2


async def test_without_a_secret_events_are_recorded_as_undeliverable_with_the_reason(
    shop: Workshop, sender: ScriptedSender
):
    sender.obstacle = "There is no secret."
    batch_id = await started(shop)
    await drain(loop_of(shop, sender), shop)
    (delivery,) = await deliveries(shop, batch_id)
    assert (delivery.status, sender.sent) == (DeliveryStatus.UNDELIVERABLE, [])
    assert "There is no secret." in delivery.reason


async def test_a_crash_between_send_and_record_redelivers_with_the_same_id(shop: Workshop, sender: ScriptedSender):
    batch_id = await started(shop)
    loop = loop_of(shop, sender)
    await crashed_after_sending(shop, sender)
    await drain(loop, shop)
    assert len(sender.sent) == 1, "its claim still holds"
    shop.clock.advance(60)
    await drain(loop, shop)
    assert [event.event_id for event in sender.sent] == [sender.sent[0].event_id] * 2
    (delivery,) = await deliveries(shop, batch_id)
    assert delivery.status is DeliveryStatus.DELIVERED
    assert "may have got it" in delivery.attempts[0].error


async def crashed_after_sending(shop: Workshop, sender: ScriptedSender) -> None:
    """Claim and send what is due, as a process does that is killed before it records the answer."""
    deliver = loop_of(shop, sender).deliver
    (due,) = await shop.backend.event_outbox.due(now=shop.clock.now(), limit=1)
    claimed = await deliver.claim(due)
    assert claimed is not None
    await sender.send(claimed.event)


async def test_an_event_that_kills_its_sender_again_and_again_is_given_up(shop: Workshop, sender: ScriptedSender):
    batch_id = await started(shop)
    for _ in range(10):
        await crashed_after_sending(shop, sender)
        shop.clock.advance(60)
    await drain(loop_of(shop, sender), shop)
    assert len(sender.sent) == 10
    assert await statuses(shop, batch_id) == [DeliveryStatus.GIVEN_UP]


async def test_a_late_answer_does_not_undo_what_another_sender_recorded(shop: Workshop, sender: ScriptedSender):
    batch_id = await started(shop)
    deliver = loop_of(shop, sender).deliver
    (due,) = await shop.backend.event_outbox.due(now=shop.clock.now(), limit=1)
    late = await deliver.claim(due)
    shop.clock.advance(60)
    await drain(loop_of(shop, sender), shop)
    sender.answers = [Answer(500, "It answered 500.")]
    assert await deliver.attempt(late) is None
    assert await statuses(shop, batch_id) == [DeliveryStatus.DELIVERED]


async def test_two_senders_at_once_send_each_event_once(shop: Workshop, sender: ScriptedSender):
    for _ in range(40):
        await started(shop)
    await asyncio.gather(*(drain(loop_of(shop, sender), shop) for _ in range(3)))
    assert len(sender.sent) == len({event.event_id for event in sender.sent}) == 40


async def test_a_slow_receiver_holds_up_nobody_else(shop: Workshop, sender: ScriptedSender):
    release, most_at_once, now_open = asyncio.Event(), 0, 0

    async def act(event: Event) -> None:
        nonlocal most_at_once, now_open
        if "slow" not in event.webhook_url:
            return
        now_open += 1
        most_at_once = max(most_at_once, now_open)
        await release.wait()
        now_open -= 1

    sender.act = act
    slow = [await started(shop, "https://slow.example/") for _ in range(30)]
    quick = [await started(shop, f"https://quick.example/{number}") for number in range(10)]
    loop = loop_of(shop, sender, slots=8, per_receiver=3)
    running = asyncio.create_task(loop.run())
    for batch_id in quick:
        await until(lambda batch_id=batch_id: is_delivered(shop, batch_id))
    assert most_at_once == 3
    release.set()
    for batch_id in slow:
        await until(lambda batch_id=batch_id: is_delivered(shop, batch_id))
    loop.stop()
    await running
    assert most_at_once == 3


async def is_delivered(shop: Workshop, batch_id: str) -> bool:
    return await statuses(shop, batch_id) == [DeliveryStatus.DELIVERED]


async def test_the_loop_sends_what_comes_while_it_runs_and_stops_when_it_is_asked(
    shop: Workshop, sender: ScriptedSender
):
    loop = loop_of(shop, sender)
    running = asyncio.create_task(loop.run())
    for _ in range(3):
        batch_id = await started(shop)
        await until(lambda batch_id=batch_id: is_delivered(shop, batch_id))
    loop.stop()
    async with asyncio.timeout(10):
        await running


async def test_storage_that_fails_is_tried_again(shop: Workshop, sender: ScriptedSender):
    trouble = Trouble("event_outbox.due", StorageUnavailable("The disk is full."), times=2)
    shop.backend = TappedBackend(shop.backend, trouble)
    batch_id = await started(shop)
    loop = loop_of(shop, sender)
    running = asyncio.create_task(loop.run())
    await until(lambda: is_delivered(shop, batch_id))
    loop.stop()
    await running
    assert trouble.left == 0


@pytest.mark.parametrize("error", [StorageUnavailable("The disk is full."), RuntimeError("a bug")])
async def test_an_answer_that_could_not_be_recorded_leads_to_a_redelivery(
    shop: Workshop, sender: ScriptedSender, error: Exception
):
    batch_id = await started(shop)

    async def fail_once(_event: Event) -> None:
        sender.act = None
        raise error

    sender.act = fail_once
    loop = loop_of(shop, sender)
    await drain(loop, shop)
    shop.clock.advance(60)
    await drain(loop, shop)
    assert await statuses(shop, batch_id) == [DeliveryStatus.DELIVERED]
    assert len({event.event_id for event in sender.sent}) == 1
    assert len(sender.sent) == 2


async def test_a_claim_that_fails_keeps_nothing_else_from_being_sent(shop: Workshop, sender: ScriptedSender):
    batch_ids = [await started(shop) for _ in range(3)]
    trouble = Trouble("event_outbox.save", StorageUnavailable("The disk is full."))
    shop.backend = TappedBackend(shop.backend, trouble)
    loop = loop_of(shop, sender)
    with pytest.raises(StorageUnavailable):
        await drain(loop, shop)
    await drain(loop, shop)
    assert len(sender.sent) == len({event.event_id for event in sender.sent}) == 3
    assert [await statuses(shop, batch_id) for batch_id in batch_ids] == [[DeliveryStatus.DELIVERED]] * 3


async def test_what_is_sent_by_name_is_sent_before_its_time_and_only_once(shop: Workshop, sender: ScriptedSender):
    batch_id = await started(shop)
    told = await deliveries(shop, batch_id)
    loop = loop_of(shop, sender)
    await asyncio.gather(loop.send(told), loop_of(shop, sender).send(told))
    await loop.send(told)
    assert len(sender.sent) == 1
    assert await statuses(shop, batch_id) == [DeliveryStatus.DELIVERED]


async def test_drain_starts_nothing_after_its_time(shop: Workshop, sender: ScriptedSender):
    await started(shop)
    await loop_of(shop, sender).drain(until=shop.clock.now())
    assert sender.sent == []


async def test_a_replay_is_sent_at_once_under_the_same_id(shop: Workshop, sender: ScriptedSender):
    sender.answers = [Answer(410, "It answered 410."), OK]
    batch_id = await started(shop)
    loop = loop_of(shop, sender)
    await drain(loop, shop)
    (gone,) = await deliveries(shop, batch_id)
    await shop.backend.event_outbox.save(rules.replay(gone, now=shop.clock.now()))
    await drain(loop, shop)
    assert await statuses(shop, batch_id) == [DeliveryStatus.DELIVERED]
    assert len({event.event_id for event in sender.sent}) == 1


async def test_a_dead_receiver_never_fails_or_delays_a_batch(shop: Workshop, sender: ScriptedSender):
    """The whole loop hangs at a receiver; a worker does its batch from start to end beside it."""
    sender.act = lambda _event: asyncio.Event().wait()
    loop = loop_of(shop, sender, slots=1)
    hanging = asyncio.create_task(loop.run())
    first = await started(shop)
    await until(lambda: sender.sent)
    worker = asyncio.create_task((work := shop.worker()).run())
    batch_id = await started(shop, items=3)
    await until(lambda: is_completed(shop, batch_id))
    told = [*await statuses(shop, first), *await statuses(shop, batch_id)]
    work.stop()
    loop.stop()
    await asyncio.gather(worker, hanging)
    assert (set(told), len(sender.sent)) == ({DeliveryStatus.PENDING}, 1)


async def is_completed(shop: Workshop, batch_id: str) -> bool:
    return (await shop.batch(batch_id)).status is BatchStatus.COMPLETED
