"""EventOutbox: where the delivery of each event is, who may change it, and which ones are due."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sync_core.domain.batch import EventType, StartOptions
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.event_outbox import Attempt, DeliveryStatus, EventOutbox, WebhookDelivery
from tests.conformance.batches import Batches

URL = "https://a.example/hook"


@pytest.fixture
def outbox(batches: Batches) -> EventOutbox:
    return batches.outbox


async def started(batches: Batches, url: str = URL) -> str:
    batch_id = await batches.uploaded(1, webhook_url=url)
    await batches.store.start(batch_id, StartOptions(1), batches.clock.now())
    return batch_id


async def recorded(batches: Batches, url: str = URL) -> WebhookDelivery:
    """Give the delivery of a batch's start."""
    (delivery,) = await batches.outbox.deliveries(await started(batches, url))
    return delivery


async def due(batches: Batches, limit: int = 10, **options) -> tuple[WebhookDelivery, ...]:
    return await batches.outbox.due(now=batches.clock.now(), limit=limit, **options)


async def test_an_event_with_a_receiver_is_pending_and_due_at_once(batches: Batches):
    delivery = await recorded(batches)
    assert (delivery.status, delivery.webhook_url) == (DeliveryStatus.PENDING, URL)
    assert delivery.next_attempt_at == delivery.event.created_at == batches.clock.now()
    assert (delivery.attempts, delivery.tries, delivery.replays, delivery.claimed_until) == ((), 0, 0, None)
    assert await due(batches) == (delivery,)


async def test_an_event_without_a_receiver_has_no_delivery(batches: Batches, outbox: EventOutbox):
    batch_id = await batches.started(1)
    assert len(await outbox.of_batch(batch_id)) == 1
    assert await outbox.deliveries(batch_id) == await due(batches) == ()


async def test_deliveries_of_a_batch_are_in_the_order_of_its_events(batches: Batches, outbox: EventOutbox):
    batch_id = await started(batches)
    await batches.do(batch_id, 0)
    types = [delivery.event.event_type for delivery in await outbox.deliveries(batch_id)]
    assert types == [EventType.BATCH_STARTED, EventType.BATCH_COMPLETED]


async def test_what_is_saved_is_what_is_read(batches: Batches, outbox: EventOutbox):
    delivery = await recorded(batches)
    now = batches.clock.now()
    attempts = (
        Attempt(now, 1.25, 503, "It answered 503 “später”."),
        Attempt(now + timedelta(seconds=5), 15.0, None, "No answer."),
    )
    changed = replace(
        delivery,
        attempts=attempts,
        tries=2,
        replays=1,
        claimed_until=now + timedelta(seconds=60),
        next_attempt_at=now + timedelta(seconds=60),
        reason="Because.",
    )
    saved = await outbox.save(changed)
    assert saved == replace(changed, version=delivery.version + 1)
    assert await outbox.deliveries(delivery.event.batch_id) == (saved,)
    assert await outbox.of_batch(delivery.event.batch_id) == (delivery.event,)


async def test_what_somebody_else_has_changed_is_not_saved(batches: Batches, outbox: EventOutbox):
    delivery = await recorded(batches)
    first = await outbox.save(replace(delivery, tries=1))
    assert await outbox.save(replace(delivery, tries=7)) is None
    assert await outbox.deliveries(delivery.event.batch_id) == (first,)


async def test_of_many_that_claim_at_once_one_gets_it(batches: Batches, outbox: EventOutbox):
    delivery = await recorded(batches)
    claimed = rules.claim(delivery, now=batches.clock.now(), lease_seconds=60)
    saved = await asyncio.gather(*(outbox.save(claimed) for _ in range(8)))
    assert len([each for each in saved if each is not None]) == 1


async def test_a_delivery_that_was_never_recorded_is_not_saved(batches: Batches, outbox: EventOutbox):
    delivery = await recorded(batches)
    event = replace(
        delivery.event, event_id="evt_20250828_140600_00000000_started", batch_id="batch_20250828_140600_00000000"
    )
    assert await outbox.save(replace(delivery, event=event)) is None
    assert await outbox.deliveries(event.batch_id) == ()


async def test_what_is_claimed_is_due_again_once_the_claim_has_run_out(batches: Batches, outbox: EventOutbox):
    delivery = await recorded(batches)
    await outbox.save(rules.claim(delivery, now=batches.clock.now(), lease_seconds=60))
    assert await due(batches) == ()
    batches.clock.advance(60)
    (again,) = await due(batches)
    assert again.event == delivery.event


@pytest.mark.parametrize("status", [status for status in DeliveryStatus if status is not DeliveryStatus.PENDING])
async def test_what_has_ended_is_due_no_more(batches: Batches, outbox: EventOutbox, status: DeliveryStatus):
    delivery = await recorded(batches)
    await outbox.save(replace(delivery, status=status, next_attempt_at=None))
    batches.clock.advance(1e6)
    assert await due(batches) == ()


async def test_what_has_ended_can_be_due_again(batches: Batches, outbox: EventOutbox):
    delivery = await recorded(batches)
    ended = await outbox.save(replace(delivery, status=DeliveryStatus.GIVEN_UP, next_attempt_at=None, reason="So."))
    again = await outbox.save(rules.replay(ended, now=batches.clock.now()))
    assert await due(batches) == (again,)
    assert again.reason is None


async def test_the_longest_due_comes_first_and_no_more_than_was_asked_for(batches: Batches):
    urls = []
    for number in range(4):
        urls.append((await recorded(batches, f"https://{number}.example/")).webhook_url)
        batches.clock.advance(1)
    assert [delivery.webhook_url for delivery in await due(batches)] == urls
    assert [delivery.webhook_url for delivery in await due(batches, limit=2)] == urls[:2]


async def test_what_is_not_due_yet_is_not_found(batches: Batches, outbox: EventOutbox):
    delivery = await recorded(batches)
    later = batches.clock.now() + timedelta(seconds=5)
    await outbox.save(replace(delivery, next_attempt_at=later))
    assert await due(batches) == ()
    batches.clock.advance(5)
    assert len(await due(batches)) == 1


async def test_a_crowd_of_an_unwanted_receiver_hides_nobody_else(batches: Batches):
    for _ in range(120):
        await recorded(batches, "https://dead.example/")
    batches.clock.advance(1)
    await recorded(batches, "https://alive.example/")
    asked: list[str] = []

    def is_wanted(url: str) -> bool:
        asked.append(url)
        return "alive" in url

    for _ in range(2):
        asked.clear()
        (found,) = await due(batches, limit=1, is_wanted=is_wanted)
        assert found.webhook_url == "https://alive.example/"
        assert len(asked) == 121


async def test_an_unknown_batch_has_no_deliveries(outbox: EventOutbox):
    assert await outbox.deliveries("batch_20250828_140600_00000000") == ()
