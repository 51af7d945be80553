"""BatchStore: attempts, leases and ends, with everything that can come between them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sync_core.domain.batch import BatchStatus, EventType, ItemProgress, ItemStatus
from sync_core.domain.errors import LeaseLost
from sync_core.jobs.ports.batch_store import Begun, Refusal
from tests.conformance.batches import COMPLETED, FAILED, LEASE_SECONDS, REFUSED, Batches


async def test_an_attempt_takes_the_lease(batches: Batches) -> None:
    batch_id = await batches.started(1)
    begun = await batches.begin(batch_id)
    until = batches.clock.now() + timedelta(seconds=LEASE_SECONDS)
    assert (begun.lease.until, begun.lease.worker_id) == (until, "worker-a")
    assert begun.item == await batches.item(batch_id)
    assert begun.batch == await batches.store.get(batch_id)
    item = begun.item
    assert (item.status, item.attempt, item.fence) == (ItemStatus.PROCESSING, 1, begun.lease.fence)
    assert (item.leased_by, item.lease_until, item.started_at) == ("worker-a", until, batches.clock.now())


async def test_the_same_message_twice_at_once_begins_one_attempt(batches: Batches) -> None:
    batch_id = await batches.started(1)
    tries = await asyncio.gather(*(batches.attempt(batch_id, worker_id=f"worker-{n}") for n in range(16)))
    assert sum(isinstance(each, Begun) for each in tries) == 1
    assert {each.reason for each in tries if not isinstance(each, Begun)} == {Refusal.LEASED}
    assert (await batches.item(batch_id)).attempt == 1


@pytest.mark.parametrize("index", [-1, 2, 3, 99])
async def test_an_item_that_was_never_claimed_is_unknown(batches: Batches, index: int) -> None:
    batch_id = await batches.started(3, parallel_jobs=2)
    refused = await batches.refused(batch_id, index)
    assert (refused.reason, refused.item, refused.batch) == (Refusal.UNKNOWN, None, None)
    assert (await batches.refused("batch_20250828_140600_00000000")).reason is Refusal.UNKNOWN


async def test_an_item_of_a_batch_that_was_not_started_is_unknown(batches: Batches) -> None:
    assert (await batches.refused(await batches.uploaded(1))).reason is Refusal.UNKNOWN


async def test_redelivered_after_success_tells_the_end_and_the_next_item(batches: Batches) -> None:
    batch_id = await batches.started(4)
    await batches.do(batch_id, 0)
    refused = await batches.refused(batch_id, 0, "worker-b")
    assert refused.reason is Refusal.ENDED
    assert refused.item
    assert (refused.item.status, refused.item.next_item) == (ItemStatus.COMPLETED, 2)
    assert await batches.counts(batch_id) == (1, 2, 1, 0, 0)


async def test_a_lease_that_ran_out_is_taken_over(batches: Batches) -> None:
    batch_id = await batches.started(1)
    first = await batches.begin(batch_id)
    batches.clock.advance(LEASE_SECONDS - 1)
    assert (await batches.refused(batch_id, worker_id="worker-b")).reason is Refusal.LEASED
    batches.clock.advance(1)
    second = await batches.begin(batch_id, worker_id="worker-b")
    assert second.lease.fence > first.lease.fence
    assert (second.item.attempt, second.item.started_at) == (2, first.item.started_at)
    assert second.item.analysis_id == first.item.analysis_id


async def test_a_paused_worker_that_writes_late_is_refused(batches: Batches) -> None:
    batch_id = await batches.started(2)
    paused = (await batches.begin(batch_id)).lease
    batches.clock.advance(LEASE_SECONDS)
    second = (await batches.begin(batch_id, worker_id="worker-b")).lease
    for write in (
        batches.finish(paused, FAILED),
        batches.store.renew(paused, now=batches.clock.now(), lease_seconds=LEASE_SECONDS),
        batches.store.release(paused, now=batches.clock.now(), count_attempt=True),
    ):
        with pytest.raises(LeaseLost):
            await write
    await batches.finish(second, COMPLETED)
    with pytest.raises(LeaseLost):
        await batches.finish(paused, FAILED)
    assert await batches.counts(batch_id) == (0, 1, 1, 0, 0)
    assert (await batches.item(batch_id)).result == COMPLETED.result


async def test_what_one_attempt_pinned_the_next_one_finds(batches: Batches) -> None:
    batch_id = await batches.started(1)
    first = await batches.begin(batch_id)
    pinned = replace(first.item.request, pinned=("s3://studio/máster.mov#v:1", "/mnt/data/dub.wav"))
    await batches.store.renew(first.lease, now=batches.clock.now(), lease_seconds=LEASE_SECONDS, request=pinned)
    await batches.store.renew(first.lease, now=batches.clock.now(), lease_seconds=LEASE_SECONDS)
    await batches.store.release(first.lease, now=batches.clock.now(), count_attempt=True)
    second = await batches.begin(batch_id, worker_id="worker-b")
    assert second.item.request == pinned
    assert second.item.request.files == pinned.pinned
    late = batches.store.renew(
        first.lease, now=batches.clock.now(), lease_seconds=LEASE_SECONDS, request=replace(pinned, pinned=None)
    )
    with pytest.raises(LeaseLost):
        await late
    assert (await batches.item(batch_id)).request == pinned


async def test_the_same_worker_is_fenced_off_from_its_own_earlier_attempt(batches: Batches) -> None:
    batch_id = await batches.started(1)
    first = (await batches.begin(batch_id)).lease
    batches.clock.advance(LEASE_SECONDS)
    second = (await batches.begin(batch_id)).lease
    with pytest.raises(LeaseLost):
        await batches.finish(first)
    await batches.finish(second)


async def test_a_lease_that_ran_out_but_that_nobody_took_still_holds(batches: Batches) -> None:
    batch_id = await batches.started(2)
    first, second = (await batches.begin(batch_id, 0)).lease, (await batches.begin(batch_id, 1)).lease
    batches.clock.advance(10 * LEASE_SECONDS)
    renewed, _ = await batches.store.renew(first, now=batches.clock.now(), lease_seconds=LEASE_SECONDS)
    assert renewed.until > batches.clock.now()
    assert (await batches.finish(second)).batch.counters.completed == 1


async def test_an_item_ends_with_all_that_its_end_says(batches: Batches) -> None:
    batch_id = await batches.started(3, parallel_jobs=3)
    await batches.do(batch_id, 0, COMPLETED)
    await batches.do(batch_id, 1, REFUSED)
    await batches.do(batch_id, 2, FAILED)
    completed, refused, failed = await batches.store.items(batch_id, limit=3)
    assert (completed.result, completed.report_key) == (COMPLETED.result, COMPLETED.report_key)
    assert (completed.ended_at, completed.leased_by, completed.lease_until) == (batches.clock.now(), None, None)
    assert refused.result == REFUSED.result
    assert (failed.error, failed.error_code, failed.result) == (FAILED.error, FAILED.error_code, None)
    counters = (await batches.store.get(batch_id)).counters
    assert (counters.completed, counters.failed, counters.confidence_count) == (2, 1, 1)


async def test_text_that_no_encoding_holds_does_not_keep_an_item_from_ending(batches: Batches) -> None:
    batch_id = await batches.started(1)
    odd = "caf\udce9.wav\0"
    end = type(FAILED)(ItemStatus.FAILED, {"path": odd}, error=f"{odd} was not found.", error_code="MEDIA_NOT_FOUND")
    await batches.do(batch_id, 0, end)
    assert "was not found" in ((await batches.item(batch_id)).error or "")


async def test_a_finish_after_an_ambiguous_commit_may_be_repeated(batches: Batches) -> None:
    batch_id = await batches.started(4)
    lease = (await batches.begin(batch_id)).lease
    first = await batches.finish(lease)
    batches.clock.advance(2 * LEASE_SECONDS)
    repeated = await batches.finish(lease)
    assert (repeated.claimed, repeated.batch, repeated.event) == (first.claimed, first.batch, None)
    assert await batches.counts(batch_id) == (1, 2, 1, 0, 0)
    await batches.do(batch_id, 1)
    assert (await batches.finish(lease)).claimed == first.claimed


async def test_repeating_the_last_finish_makes_no_second_event(batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    assert (await batches.finish(lease)).event is EventType.BATCH_COMPLETED
    assert (await batches.finish(lease)).event is None
    assert await batches.events(batch_id) == ["batch.started", "batch.completed"]


async def test_finishing_many_times_at_once_counts_once(batches: Batches) -> None:
    batch_id = await batches.started(3)
    lease = (await batches.begin(batch_id)).lease
    changes = await asyncio.gather(*(batches.finish(lease) for _ in range(8)))
    assert {change.claimed for change in changes} == {(2,)}
    assert await batches.counts(batch_id) == (0, 2, 1, 0, 0)


async def test_counters_under_64_parallel_finishers(batches: Batches) -> None:
    batch_id = await batches.started(200, parallel_jobs=64)
    windows = []

    async def work(index: int) -> None:
        todo = [index]
        while todo:
            change = await batches.do(batch_id, todo.pop(), FAILED if index % 4 == 0 else COMPLETED)
            windows.append(change.batch.counters.in_flight)
            todo += change.claimed

    await asyncio.gather(*(work(index) for index in range(64)))
    pending, in_flight, completed, failed, cancelled = await batches.counts(batch_id)
    items = await batches.store.items(batch_id, limit=500)
    assert (pending, in_flight, completed + failed, cancelled) == (0, 0, 200, 0)
    assert failed == sum(item.status is ItemStatus.FAILED for item in items)
    assert max(windows) <= 64
    assert await batches.events(batch_id) == ["batch.started", "batch.completed"]
    assert (await batches.store.get(batch_id)).counters.average_confidence == pytest.approx(0.9)


async def test_a_batch_fails_only_if_every_item_failed(batches: Batches) -> None:
    batch_id = await batches.started(2)
    await batches.do(batch_id, 0, FAILED)
    assert (await batches.store.get(batch_id)).status is BatchStatus.PROCESSING
    await batches.do(batch_id, 1, FAILED)
    assert (await batches.store.get(batch_id)).status is BatchStatus.FAILED
    assert await batches.events(batch_id) == ["batch.started", "batch.failed"]


async def test_renewing_prolongs_and_shows_progress(batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    progress = ItemProgress("comparing", 42.5)
    for _ in range(3):
        batches.clock.advance(LEASE_SECONDS - 1)
        lease, cancelled = await batches.store.renew(
            lease, now=batches.clock.now(), lease_seconds=LEASE_SECONDS, progress=progress
        )
        assert not cancelled
    assert (await batches.refused(batch_id, worker_id="worker-b")).reason is Refusal.LEASED
    await batches.store.renew(lease, now=batches.clock.now(), lease_seconds=LEASE_SECONDS)
    item = await batches.item(batch_id)
    assert (item.progress, item.attempt, item.fence) == (progress, 1, lease.fence)
    await batches.finish(lease)
    with pytest.raises(LeaseLost):
        await batches.store.renew(lease, now=batches.clock.now(), lease_seconds=LEASE_SECONDS)


@pytest.mark.parametrize(("count_attempt", "next_attempt"), [(True, 2), (False, 1)])
async def test_a_release_lets_the_next_one_begin_at_once(
    batches: Batches, count_attempt: bool, next_attempt: int
) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    await batches.store.release(lease, now=batches.clock.now(), count_attempt=count_attempt)
    assert not (await batches.item(batch_id)).is_leased(batches.clock.now())
    with pytest.raises(LeaseLost):
        await batches.finish(lease)
    with pytest.raises(LeaseLost):
        await batches.store.release(lease, now=batches.clock.now(), count_attempt=count_attempt)
    again = await batches.begin(batch_id, worker_id="worker-b")
    assert (again.item.attempt, again.lease.fence) == (next_attempt, lease.fence + 1)


async def test_a_released_item_is_not_overdue_while_its_message_backs_off(batches: Batches) -> None:
    batch_id = await batches.started(1)
    lease = (await batches.begin(batch_id)).lease
    await batches.store.release(lease, now=batches.clock.now(), count_attempt=True, delay_seconds=600.0)
    batches.clock.advance(650.0)
    assert await batches.store.stalled(now=batches.clock.now(), limit=5) == ()
    batches.clock.advance(20.0)
    assert [item.index for item in await batches.store.stalled(now=batches.clock.now(), limit=5)] == [0]


async def test_an_abandoned_item_is_ended_unless_it_is_leased_or_has_ended(batches: Batches) -> None:
    batch_id = await batches.started(3)
    lease = (await batches.begin(batch_id)).lease
    end = lambda index: batches.store.end_abandoned(batch_id, index, FAILED, now=batches.clock.now())  # noqa: E731
    assert await end(0) is None
    assert await end(2) is None  # not claimed
    batches.clock.advance(LEASE_SECONDS)
    change = await end(0)
    assert change
    assert change.claimed == (2,)
    assert (await batches.item(batch_id)).next_item == 2
    assert await end(0) is None
    with pytest.raises(LeaseLost):  # the end is not its own, though nobody took the lease over
        await batches.finish(lease)
    assert await batches.counts(batch_id) == (0, 2, 0, 1, 0)
