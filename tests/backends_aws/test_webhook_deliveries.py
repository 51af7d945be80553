"""Deliveries on AWS: lost answers, throttling, and what they cost in requests."""

from __future__ import annotations

from sync_core.backends.aws.open import AwsBackend
from sync_core.domain.batch import StartOptions
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.event_outbox import WebhookDelivery
from tests.backends_aws.traffic import Ledger, OneFault, refusal
from tests.conformance.batches import Batches


async def recorded(batches: Batches, url: str = "https://a.example/") -> WebhookDelivery:
    batch_id = await batches.uploaded(1, webhook_url=url)
    await batches.store.start(batch_id, StartOptions(1), batches.clock.now())
    (delivery,) = await batches.outbox.deliveries(batch_id)
    return delivery


def claimed(batches: Batches, delivery: WebhookDelivery) -> WebhookDelivery:
    return rules.claim(delivery, now=batches.clock.now(), lease_seconds=60)


async def test_a_claim_whose_answer_was_lost_is_ones_own(backend: AwsBackend, batches: Batches) -> None:
    delivery = await recorded(batches)
    fault = await OneFault.on(backend, "UpdateItem")
    saved = await batches.outbox.save(claimed(batches, delivery))
    assert fault.spoilt == 1
    assert saved is not None
    assert await batches.outbox.deliveries(delivery.event.batch_id) == (saved,)


async def test_a_claim_that_was_throttled_is_made_all_the_same(backend: AwsBackend, batches: Batches) -> None:
    delivery = await recorded(batches)
    fault = await OneFault.on(backend, "UpdateItem", answer=refusal("ThrottlingException"), times=2)
    assert await batches.outbox.save(claimed(batches, delivery))
    assert fault.spoilt == 2


async def test_an_attempt_costs_two_writes_and_a_query(backend: AwsBackend, batches: Batches) -> None:
    delivery = await recorded(batches)
    ledger = await Ledger.of(backend)
    mine = await batches.outbox.save(claimed(batches, delivery))
    await batches.outbox.deliveries(delivery.event.batch_id)
    await batches.outbox.save(mine)
    assert ledger.counts == {"UpdateItem": 2, "Query": 1}


async def test_nothing_due_is_one_query(backend: AwsBackend, batches: Batches) -> None:
    await recorded(batches)
    ledger = await Ledger.of(backend)
    batches.clock.advance(-1)
    assert await batches.outbox.due(now=batches.clock.now(), limit=10) == ()
    assert ledger.counts == {"Query": 1}


async def test_a_crowd_of_a_busy_receiver_is_read_once(ministack: AwsBackend, clocked: Batches) -> None:
    for _ in range(105):
        await recorded(clocked, "https://busy.example/")
    ledger = await Ledger.of(ministack)
    for _ in range(5):
        found = await clocked.outbox.due(now=clocked.clock.now(), limit=10, is_wanted=lambda _url: False)
        assert found == ()
    assert ledger.counts == {"Query": 5, "BatchGetItem": 2}
