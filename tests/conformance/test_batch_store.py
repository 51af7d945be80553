"""BatchStore: making, finding and listing batches."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sync_core.domain.batch import BatchStatus, Change, EventType, ItemStatus, Priority, StartOptions
from sync_core.domain.errors import InputError, NotFound, WrongState
from sync_core.domain.ids import analysis_id_of_single, is_analysis_id
from sync_core.jobs.ports.batch_store import item_stream
from tests.conformance.batches import Batches, request_of


async def test_what_was_created_is_what_is_read(batches: Batches) -> None:
    batch = batches.new(3, description="Ünïcode\nand lines", webhook_url="https://a.example/x", retry_of="batch_old")
    assert await batches.store.create(batch, [request_of(index) for index in range(3)])
    assert await batches.store.get(batch.batch_id) == batch
    items = await batches.store.items(batch.batch_id, limit=10)
    assert [item.request for item in items] == [request_of(index) for index in range(3)]
    assert [item.item_id for item in items] == ["item_001", "item_002", "item_003"]
    assert {item.status for item in items} == {ItemStatus.PENDING}


async def test_times_keep_their_microseconds(batches: Batches) -> None:
    batches.clock.advance(0.123457)
    batch_id = await batches.started(1)
    batch = await batches.store.get(batch_id)
    assert (batch.created_at, batch.started_at) == (batches.clock.now(), batches.clock.now())


async def test_creating_twice_stores_once(batches: Batches) -> None:
    batch = batches.new(1)
    assert await batches.store.create(batch, [request_of(0)])
    assert not await batches.store.create(replace(batch, description="another"), [request_of(7)])
    assert await batches.store.get(batch.batch_id) == batch
    assert (await batches.item(batch.batch_id)).request == request_of(0)


async def test_creating_at_the_same_time_stores_once(batches: Batches) -> None:
    batch = batches.new(20)
    requests = [request_of(index) for index in range(20)]
    made = await asyncio.gather(*(batches.store.create(batch, requests) for _ in range(8)))
    assert sorted(made) == [False] * 7 + [True]
    assert len(await batches.store.items(batch.batch_id, limit=100)) == 20


async def test_a_large_batch_is_seen_wholly_or_not_at_all(batches: Batches) -> None:
    batch = batches.new(3000)
    creating = asyncio.create_task(batches.store.create(batch, [request_of(index) for index in range(3000)]))
    seen = set()
    while not creating.done():
        seen.add(len(await batches.store.items(batch.batch_id, limit=5000)))
    seen.add(len(await batches.store.items(batch.batch_id, limit=5000)))
    assert seen <= {0, 3000}


async def test_what_is_not_there_is_not_found(batches: Batches) -> None:
    nowhere = "batch_20250828_140600_00000000"
    for call in (
        lambda: batches.store.get(nowhere),
        lambda: batches.store.start(nowhere, StartOptions(), batches.clock.now()),
        lambda: batches.store.cancel(nowhere, batches.clock.now()),
        lambda: batches.store.find_analysis("20250828_140600_00000000"),
    ):
        with pytest.raises(NotFound):
            await call()
    assert await batches.store.items(nowhere, limit=10) == ()


async def test_pages_of_items(batches: Batches) -> None:
    batch_id, other = await batches.uploaded(25), await batches.uploaded(5)
    assert [item.index for item in await batches.store.items(batch_id, start=20, limit=10)] == [20, 21, 22, 23, 24]
    assert await batches.store.items(batch_id, start=25, limit=10) == ()
    assert [item.index async for item in item_stream(batches.store, batch_id, page=7)] == list(range(25))
    assert [item.index async for item in item_stream(batches.store, other, page=7)] == list(range(5))


async def test_pages_are_stable_while_items_finish(batches: Batches) -> None:
    batch_id = await batches.started(40, parallel_jobs=4)
    seen = []
    for index in range(40):
        if index % 4 == 0:
            seen += [item.index for item in await batches.store.items(batch_id, start=len(seen), limit=4)]
        await batches.do(batch_id, index)
    assert seen == list(range(40))


async def test_batches_are_listed_newest_first_without_the_single_ones(batches: Batches) -> None:
    made = []
    for number in range(7):
        batches.clock.advance(number % 2)  # some share their time
        made.append(await batches.uploaded(1))
        await batches.uploaded(1, single=True)
    listed, cursor = [], None
    while True:
        page = await batches.store.list_batches(limit=3, cursor=cursor)
        listed += [batch.batch_id for batch in page.batches]
        cursor = page.cursor
        if cursor is None:
            break
        await batches.uploaded(1)  # what is new does not move the pages behind
    assert sorted(listed) == sorted(made)
    by_time = [(await batches.store.get(batch_id)).created_at for batch_id in listed]
    assert by_time == sorted(by_time, reverse=True)


@pytest.mark.parametrize("cursor", ["", "no cursor", "MS4", "é", "MTIz"])
async def test_a_foreign_cursor_is_the_callers_error(batches: Batches, cursor: str) -> None:
    if cursor:
        with pytest.raises(InputError, match="cursor"):
            await batches.store.list_batches(limit=3, cursor=cursor)
    else:
        assert (await batches.store.list_batches(limit=3, cursor=cursor)).batches == ()


async def test_starting_claims_a_window_and_tells_of_it(batches: Batches) -> None:
    batch_id = await batches.uploaded(5, webhook_url="https://a.example/old")
    options = StartOptions(3, Priority.HIGH, "https://a.example/new")
    change = await batches.store.start(batch_id, options, batches.clock.now())
    assert (change.claimed, change.event) == ((0, 1, 2), EventType.BATCH_STARTED)
    assert change.batch == await batches.store.get(batch_id)
    assert (change.batch.priority, change.batch.webhook_url) == (Priority.HIGH, "https://a.example/new")
    assert await batches.counts(batch_id) == (2, 3, 0, 0, 0)


async def test_a_batch_starts_once_however_many_try(batches: Batches) -> None:
    batch_id = await batches.uploaded(5)
    tries = (batches.store.start(batch_id, StartOptions(), batches.clock.now()) for _ in range(8))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Change) == 1
    assert [type(outcome) for outcome in outcomes].count(WrongState) == 7
    assert await batches.events(batch_id) == ["batch.started"]


async def test_the_analysis_id_finds_the_item(batches: Batches) -> None:
    batch_id = await batches.started(3)
    begun = await batches.begin(batch_id, 1)
    assert begun.item.analysis_id
    assert is_analysis_id(begun.item.analysis_id)
    await batches.finish(begun.lease)
    batch, item = await batches.store.find_analysis(begun.item.analysis_id)
    assert (batch.batch_id, item.index, item.status) == (batch_id, 1, ItemStatus.COMPLETED)


async def test_a_single_analysis_is_found_before_it_began_and_keeps_its_id(batches: Batches) -> None:
    batch_id = await batches.uploaded(1, single=True)
    analysis_id = analysis_id_of_single(batch_id)
    batch, item = await batches.store.find_analysis(analysis_id)
    assert (batch.batch_id, item.analysis_id) == (batch_id, analysis_id)
    await batches.store.start(batch_id, StartOptions(1), batches.clock.now())
    assert (await batches.begin(batch_id)).item.analysis_id == analysis_id


async def test_the_whole_life_of_a_batch(batches: Batches) -> None:
    batch_id = await batches.started(3, parallel_jobs=1)
    batches.clock.advance(1)
    assert (await batches.do(batch_id, 0)).claimed == (1,)
    assert (await batches.do(batch_id, 1)).claimed == (2,)
    change = await batches.do(batch_id, 2)
    assert (change.claimed, change.event) == ((), EventType.BATCH_COMPLETED)
    batch = await batches.store.get(batch_id)
    assert (batch.status, batch.ended_at) == (BatchStatus.COMPLETED, batches.clock.now())
    assert batch.ended_at - batch.created_at == timedelta(seconds=1)
    assert batch.counters.average_confidence == pytest.approx(0.9)
    assert await batches.events(batch_id) == ["batch.started", "batch.completed"]
