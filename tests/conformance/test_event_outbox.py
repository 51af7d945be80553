"""EventOutbox: one event per change of a batch's state, told by the batch that made it."""

from __future__ import annotations

from sync_core.domain.batch import EventType, StartOptions
from sync_core.jobs.ports.event_outbox import Event
from tests.conformance.batches import FAILED, Batches


async def events(batches: Batches, batch_id: str) -> tuple[Event, ...]:
    return await batches.outbox.of_batch(batch_id)


async def test_an_event_says_what_happened_to_which_batch_and_whom_to_tell(batches: Batches) -> None:
    batch_id = await batches.uploaded(2, webhook_url="https://a.example/hook")
    await batches.store.start(batch_id, StartOptions(2), batches.clock.now())
    await batches.do(batch_id, 0)
    batches.clock.advance(5)
    await batches.do(batch_id, 1, FAILED)
    started, completed = await events(batches, batch_id)
    assert (started.event_type, completed.event_type) == (EventType.BATCH_STARTED, EventType.BATCH_COMPLETED)
    assert (completed.batch_id, completed.webhook_url) == (batch_id, "https://a.example/hook")
    assert completed.created_at == batches.clock.now()
    assert (completed.payload["type"], completed.payload["timestamp"]) == ("batch.completed", "2025-08-28T14:06:05Z")
    told = completed.payload["data"]
    assert (told["batch_id"], told["items_completed"], told["items_failed"]) == (batch_id, 1, 1)


async def test_one_event_per_change_with_a_stable_id(batches: Batches) -> None:
    ids = []
    for _ in range(2):
        batch_id = await batches.started(1)
        await batches.do(batch_id, 0)
        first, again = await events(batches, batch_id), await events(batches, batch_id)
        assert first == again
        ids += [event.event_id for event in first]
    assert len(set(ids)) == 4


async def test_an_upload_is_no_event_and_events_without_a_receiver_are_recorded(batches: Batches) -> None:
    batch_id = await batches.uploaded(1)
    assert await events(batches, batch_id) == ()
    await batches.cancel(batch_id)
    (cancelled,) = await events(batches, batch_id)
    assert (cancelled.event_type, cancelled.webhook_url) == (EventType.BATCH_CANCELLED, None)


async def test_an_unknown_batch_has_no_events(batches: Batches) -> None:
    assert await events(batches, "batch_20250828_140600_00000000") == ()
