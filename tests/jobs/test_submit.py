"""Batches come from uploads, from single pairs and from what failed before; each of them once."""

from __future__ import annotations

import asyncio

import pytest

from sync_core.domain.batch import BatchStatus, ItemRequest, ItemStatus, Priority
from sync_core.domain.errors import IdempotencyConflict, InvalidBatch, MediaNotFound, NotFound, TooLarge, WrongState
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_METHODS, Method
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.submit import AnalysePair, BatchOptions, SubmitBatch
from tests.fakes.analyzer import raises
from tests.fakes.workshop import Workshop, dub

GOOD = b"master_file,dub_file\n/mnt/data/a.wav,/mnt/data/b.wav\n/mnt/data/a.wav,/mnt/data/c.wav\n"
PAIR = ItemRequest("/mnt/data/a.wav", "/mnt/data/b.wav", ())


def submitter(shop: Workshop, limits: UploadLimits = UploadLimits()) -> SubmitBatch:  # noqa: B008 - a frozen value
    policy = MediaPolicy(roots=("/mnt/data",), relative_to="/mnt/data")
    return SubmitBatch(shop.backend.batch_store, shop.backend.idempotency_keys, shop.clock, policy, limits)


async def stored(shop: Workshop) -> int:
    return len((await shop.backend.batch_store.list_batches(limit=100)).batches)


async def test_an_upload_is_stored_with_its_rows_in_order_and_waits(shop: Workshop) -> None:
    options = BatchOptions("Episode 3", Priority.HIGH, "https://studio.example/hook")
    batch = (await submitter(shop).upload(GOOD, options)).batch
    assert batch == await shop.batch(batch.batch_id)
    assert (batch.status, batch.counters.total, batch.priority) == (BatchStatus.UPLOADED, 2, Priority.HIGH)
    items = await shop.backend.batch_store.items(batch.batch_id, limit=10)
    assert [item.request.dub_file for item in items] == ["/mnt/data/b.wav", "/mnt/data/c.wav"]
    assert await shop.receive_if_any() is None


@pytest.mark.parametrize(
    ("content", "limits", "error"),
    [
        (GOOD + b"/etc/passwd,/mnt/data/b.wav\n", UploadLimits(), InvalidBatch),
        (b"", UploadLimits(), InvalidBatch),
        (GOOD, UploadLimits(rows=1), TooLarge),
        (GOOD, UploadLimits(file_bytes=10), TooLarge),
    ],
    ids=["bad_row", "empty", "rows", "bytes"],
)
async def test_a_rejected_upload_stores_nothing(shop: Workshop, content, limits, error) -> None:
    with pytest.raises(error):
        await submitter(shop, limits).upload(content, BatchOptions(), idempotency_key="k")
    assert await stored(shop) == 0


async def test_the_same_key_at_the_same_time_makes_one_batch(shop: Workshop) -> None:
    uploads = (submitter(shop).upload(GOOD, BatchOptions(), idempotency_key="k") for _ in range(8))
    batches = {submitted.batch.batch_id for submitted in await asyncio.gather(*uploads)}
    assert (len(batches), await stored(shop)) == (1, 1)


@pytest.mark.parametrize(
    ("content", "options"), [(GOOD + b"\n/mnt/data/a.wav,/mnt/data/d.wav\n", BatchOptions()), (GOOD, BatchOptions("x"))]
)
async def test_the_same_key_with_other_content_is_a_conflict(shop: Workshop, content, options) -> None:
    await submitter(shop).upload(GOOD, BatchOptions(), idempotency_key="k")
    with pytest.raises(IdempotencyConflict):
        await submitter(shop).upload(content, options, idempotency_key="k")
    assert await stored(shop) == 1


async def test_without_a_key_each_upload_is_a_batch_of_its_own(shop: Workshop) -> None:
    for _ in range(3):
        await submitter(shop).upload(GOOD, BatchOptions())
    assert await stored(shop) == 3


async def batch_with_failures(shop: Workshop) -> str:
    batch_id = await shop.started(4, parallel_jobs=4)
    for index in (1, 3):
        shop.analyzer.will(dub(index), raises(MediaNotFound("gone")))
    while delivery := await shop.receive_if_any():
        await shop.processor().process(delivery)
    return batch_id


async def test_what_failed_is_retried_in_a_new_batch_and_the_old_one_stays_as_it_is(shop: Workshop) -> None:
    old_id = await batch_with_failures(shop)
    old = await shop.batch(old_id)

    retry = (await submitter(shop).retry_failed(old_id)).batch

    assert (retry.retry_of, retry.status, retry.counters.total) == (old_id, BatchStatus.UPLOADED, 2)
    items = await shop.backend.batch_store.items(retry.batch_id, limit=10)
    assert [item.request.dub_file for item in items] == [dub(1), dub(3)]
    assert {item.status for item in items} == {ItemStatus.PENDING}
    assert await shop.batch(old_id) == old


async def test_a_retry_with_its_key_is_made_once(shop: Workshop) -> None:
    old_id = await batch_with_failures(shop)
    first, second = [(await submitter(shop).retry_failed(old_id, idempotency_key="k")).batch for _ in range(2)]
    assert first == second


async def test_only_ended_batches_with_failures_can_be_retried(shop: Workshop) -> None:
    running, good = await shop.started(1), await shop.started(1)
    with pytest.raises(WrongState, match="processing"):
        await submitter(shop).retry_failed(running)
    while delivery := await shop.receive_if_any():
        await shop.processor().process(delivery)
    with pytest.raises(WrongState, match="no failed items"):
        await submitter(shop).retry_failed(good)
    with pytest.raises(NotFound):
        await submitter(shop).retry_failed("batch_20250828_140600_ffffffff")


async def test_a_pair_is_started_at_once_and_found_by_its_analysis_id(shop: Workshop) -> None:
    batch = await AnalysePair(submitter(shop), shop.start_batch).submit_pair(PAIR, BatchOptions())
    assert batch.single
    assert await stored(shop) == 0, "a batch of one is not listed"
    await shop.processor().process(await shop.receive())
    analysis_id = batch.batch_id.removeprefix("batch_")
    found_batch, item = await shop.backend.batch_store.find_analysis(analysis_id)
    assert found_batch.batch_id == batch.batch_id
    assert item.result["analysis_id"] == analysis_id
    assert item.request.methods == DEFAULT_METHODS


async def test_a_pair_repeated_with_its_key_is_analysed_once(shop: Workshop) -> None:
    pairs = AnalysePair(submitter(shop), shop.start_batch)
    first = await pairs.submit_pair(PAIR, BatchOptions(), idempotency_key="k")
    second = await pairs.submit_pair(PAIR, BatchOptions(), idempotency_key="k")
    assert first.batch_id == second.batch_id
    assert (await shop.depth()).waiting == 1
    other = ItemRequest("/mnt/data/a.wav", "/mnt/data/b.wav", (Method.ONSET,))
    with pytest.raises(IdempotencyConflict):
        await pairs.submit_pair(other, BatchOptions(), idempotency_key="k")
