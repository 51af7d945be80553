"""A request was carried out and its answer was lost: it is sent again, and must count once.

ministack knows a repeated ClientRequestToken, as AWS does; moto does not, so there the conditions alone must hold.
"""

from __future__ import annotations

import pytest

from sync_core.backends.aws.open import AwsBackend
from sync_core.domain.batch import BatchStatus, ItemProgress, ItemStatus, Priority, StartOptions
from sync_core.domain.errors import LeaseLost, StorageUnavailable
from sync_core.jobs.ports.work_queue import Message
from tests.backends_aws.traffic import OneFault
from tests.conformance.batches import FAILED, LEASE_SECONDS, Batches, request_of


async def test_create(backend: AwsBackend, batches: Batches) -> None:
    batch = batches.new(150)
    fault = await OneFault.on(backend, "TransactWriteItems", times=2)
    await batches.store.create(batch, [request_of(index) for index in range(150)])
    assert fault.spoilt == 2
    assert await batches.store.get(batch.batch_id) == batch
    assert len(await batches.store.items(batch.batch_id, limit=200)) == 150


@pytest.mark.parametrize("operation", ["TransactWriteItems", "BatchGetItem"])
async def test_begin(backend: AwsBackend, batches: Batches, operation: str) -> None:
    batch_id = await batches.started(1)
    fault = await OneFault.on(backend, operation)
    begun = await batches.begin(batch_id)
    assert (fault.spoilt, begun.lease.fence, begun.item.attempt) == (1, 1, 1)
    assert (await batches.item(batch_id)) == begun.item
    assert begun.item.analysis_id
    assert (await batches.store.find_analysis(begun.item.analysis_id))[1] == begun.item


async def test_begin_again(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(1)
    await batches.begin(batch_id)
    batches.clock.advance(LEASE_SECONDS)
    fault = await OneFault.on(backend, "UpdateItem")
    begun = await batches.begin(batch_id, worker_id="worker-b")
    assert (fault.spoilt, begun.lease.fence, begun.item.attempt) == (1, 2, 2)


async def test_renew(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    fault = await OneFault.on(backend, "UpdateItem")
    batches.clock.advance(1.0)
    progress = ItemProgress("comparing", 40.0)
    renewed, _ = await batches.store.renew(
        lease, now=batches.clock.now(), lease_seconds=LEASE_SECONDS, progress=progress
    )
    item = await batches.item(batch_id)
    assert (fault.spoilt, item.lease_until, item.progress) == (1, renewed.until, progress)


async def test_release_takes_off_one_attempt(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    fault = await OneFault.on(backend, "UpdateItem")
    await batches.store.release(lease, now=batches.clock.now(), count_attempt=False)
    assert (fault.spoilt, (await batches.item(batch_id)).attempt) == (1, 0)
    with pytest.raises(LeaseLost):
        await batches.store.release(lease, now=batches.clock.now(), count_attempt=False)


async def test_finish(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(3)
    lease = (await batches.begin(batch_id)).lease
    fault = await OneFault.on(backend, "TransactWriteItems")
    change = await batches.finish(lease)
    assert (fault.spoilt, change.claimed) == (1, (2,))
    assert await batches.counts(batch_id) == (0, 2, 1, 0, 0)


async def test_the_last_finish_makes_one_event(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    await OneFault.on(backend, "TransactWriteItems")
    assert (await batches.finish(lease)).batch.status is BatchStatus.COMPLETED
    assert await batches.events(batch_id) == ["batch.started", "batch.completed"]


async def test_an_abandoned_item_ends_once_and_its_next_one_is_known(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(3)
    await OneFault.on(backend, "TransactWriteItems")
    change = await batches.store.end_abandoned(batch_id, 0, FAILED, now=batches.clock.now())
    assert change
    assert change.claimed == (2,)
    assert await batches.counts(batch_id) == (0, 2, 0, 1, 0)


async def test_cancel(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(5)
    fault = await OneFault.on(backend, "TransactWriteItems", times=2)
    await batches.cancel(batch_id)
    assert fault.spoilt == 2
    assert await batches.counts(batch_id) == (0, 0, 0, 0, 5)
    assert await batches.events(batch_id) == ["batch.started", "batch.cancelled"]


async def test_start(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.uploaded(5)
    await OneFault.on(backend, "TransactWriteItems")
    change = await batches.store.start(batch_id, StartOptions(2), batches.clock.now())
    assert (change.claimed, await batches.counts(batch_id)) == ((0, 1), (3, 2, 0, 0, 0))


async def test_an_idempotency_key_is_bound_once(backend: AwsBackend, batches: Batches) -> None:
    fault = await OneFault.on(backend, "PutItem")
    keys, now = backend.idempotency_keys, batches.clock.now()
    assert await keys.claim("k", fingerprint="f", resource_id="mine", now=now) == "mine"
    assert await keys.claim("k", fingerprint="f", resource_id="other", now=now) == "mine"
    assert fault.spoilt == 1


async def test_a_message_may_be_sent_twice_but_not_lost(backend: AwsBackend) -> None:
    fault = await OneFault.on(backend, "SendMessageBatch")
    await backend.work_queue.send([Message("batch_a", 1, Priority.NORMAL)])
    depth = (await backend.work_queue.depth())[Priority.NORMAL]
    assert fault.spoilt == 1
    assert depth.waiting in (1, 2)


async def test_a_report_is_stored(backend: AwsBackend) -> None:
    await OneFault.on(backend, "PutObject")
    await backend.report_store.put("batch_a/item_001-1.json", b"{}")
    await OneFault.on(backend, "GetObject")
    assert await backend.report_store.get("batch_a/item_001-1.json") == b"{}"


async def test_an_end_whose_answer_never_comes_is_found_later(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    await OneFault.on(backend, "TransactWriteItems", times=8)
    with pytest.raises(StorageUnavailable, match="no answer"):
        await batches.finish(lease)
    assert (await batches.finish(lease)).batch.status is BatchStatus.COMPLETED
    assert (await batches.item(batch_id)).status is ItemStatus.COMPLETED
