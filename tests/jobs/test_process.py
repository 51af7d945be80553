"""What becomes of one delivery, whatever the analysis says."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from sync_core.domain.batch import BatchStatus, ItemProgress, ItemStatus
from sync_core.domain.errors import (
    DecoderCrashed,
    MediaNotFound,
    MethodUnavailable,
    OutOfMemory,
    StorageUnavailable,
    Throttled,
    TransientError,
)
from sync_core.domain.result import AnalysisStage, Progress
from sync_core.jobs.process import AttemptPolicy, Outcome
from tests.fakes.analyzer import answers, found, never_ends, raises
from tests.fakes.waiting import until
from tests.fakes.workshop import Workshop, dub


async def process_one(shop: Workshop, **policy: float) -> Outcome:
    return await shop.processor(**policy).process(await shop.receive())


async def test_a_result_is_saved_with_its_report_and_its_message_is_gone(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), answers(found(-2.456, confidence=0.93)))

    assert await process_one(shop) is Outcome.SAVED

    item, batch = await shop.item(batch_id), await shop.batch(batch_id)
    assert item.status is ItemStatus.COMPLETED
    assert item.result["offset_seconds"] == -2.456
    assert item.result["analysis_id"] == item.analysis_id
    assert json.loads(await shop.backend.report_store.get(item.report_key))["result"] == item.result
    assert batch.status is BatchStatus.COMPLETED
    assert batch.counters.average_confidence == pytest.approx(0.93)
    assert (await shop.depth()).waiting + (await shop.depth()).in_flight == 0
    assert await shop.events(batch_id) == ["batch.started", "batch.completed"]


async def test_a_refusal_completes_its_item_and_does_not_count_in_the_average(shop: Workshop) -> None:
    batch_id = await shop.started(2)
    shop.analyzer.will(dub(0), answers(found(None, confidence=0.2)))
    shop.analyzer.will(dub(1), answers(found(0.0, confidence=0.8)))

    assert [await process_one(shop), await process_one(shop)] == [Outcome.SAVED] * 2

    counters = (await shop.batch(batch_id)).counters
    assert counters.completed == 2
    assert counters.average_confidence == pytest.approx(0.8)


@pytest.mark.parametrize(
    "error",
    [MediaNotFound("/mnt/data/dub_000.wav is not there."), MethodUnavailable("No model for ai is installed.")],
)
async def test_a_permanent_error_fails_the_item_at_once_with_its_code_and_sentence(shop, error) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), raises(error))

    assert await process_one(shop) is Outcome.SAVED

    item = await shop.item(batch_id)
    assert (item.status, item.error_code, item.error) == (ItemStatus.FAILED, error.code, error.message)
    assert item.attempt == 1
    assert (await shop.batch(batch_id)).status is BatchStatus.FAILED
    assert await shop.events(batch_id) == ["batch.started", "batch.failed"]


async def test_one_failed_item_does_not_fail_the_batch(shop: Workshop) -> None:
    batch_id = await shop.started(2)
    shop.analyzer.will(dub(1), raises(MediaNotFound("gone")))
    await process_one(shop)
    await process_one(shop)
    assert (await shop.batch(batch_id)).status is BatchStatus.COMPLETED


@pytest.mark.parametrize(("error", "counted"), [(DecoderCrashed("x"), 1), (OutOfMemory("x"), 1), (Throttled("x"), 0)])
async def test_a_transient_error_brings_the_message_back_after_a_pause(shop, error, counted) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), raises(error), answers(found()))

    assert await process_one(shop) is Outcome.LATER

    item = await shop.item(batch_id)
    assert item.attempt == counted
    assert not item.is_leased(shop.clock.now())
    shop.clock.advance(4.9)
    assert await shop.receive_if_any() is None
    shop.clock.advance(0.2)
    assert await process_one(shop) is Outcome.SAVED
    assert (await shop.item(batch_id)).status is ItemStatus.COMPLETED


async def test_the_pause_grows_with_each_attempt(shop: Workshop) -> None:
    await shop.started()
    shop.analyzer.will(dub(0), raises(DecoderCrashed("x")))
    assert await pauses_after_failures(shop, times=2) == pytest.approx([5.0, 20.0], abs=0.2)


async def test_an_outage_of_the_storage_is_outlasted_with_growing_pauses_and_blames_nobody(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), *[raises(StorageUnavailable("x"))] * 11, answers(found()))

    pauses = await pauses_after_failures(shop, times=11)

    assert pauses == sorted(pauses)
    assert sum(pauses) > 1800, "an outage of half an hour would drive the message into the dead letters"
    assert (await shop.item(batch_id)).attempt == 0


async def pauses_after_failures(shop: Workshop, *, times: int) -> list[float]:
    """Process a delivery again and again, and tell how long its message stays away each time."""
    pauses, delivery = [], await shop.receive()
    for _ in range(times):
        assert await shop.processor().process(delivery) is Outcome.LATER
        failed_at = shop.clock.now()
        while (next_delivery := await shop.receive_if_any()) is None:
            shop.clock.advance(0.1 if shop.clock.now() - failed_at < timedelta(seconds=90) else 10)
        pauses.append((shop.clock.now() - failed_at).total_seconds())
        delivery = next_delivery
    return pauses


async def test_the_last_attempt_fails_its_item_itself(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), raises(DecoderCrashed("The decoder died with SIGSEGV.")))
    outcomes = []
    for _ in range(3):
        outcomes.append(await process_one(shop))
        shop.clock.advance(100)

    assert outcomes == [Outcome.LATER, Outcome.LATER, Outcome.SAVED]
    item = await shop.item(batch_id)
    assert (item.error_code, item.error, item.attempt) == ("DECODER_CRASHED", "The decoder died with SIGSEGV.", 3)
    assert await shop.events(batch_id) == ["batch.started", "batch.failed"]


async def test_an_item_whose_worker_always_dies_fails_as_poison_without_another_analysis(shop: Workshop) -> None:
    batch_id = await shop.started()
    for worker in "abc":
        delivery = await shop.receive()
        await shop.backend.batch_store.begin_attempt(
            batch_id, 0, worker_id=worker, now=shop.clock.now(), lease_seconds=60
        )
        assert delivery.message.batch_id == batch_id
        shop.clock.advance(61)  # the worker is dead: nobody renews

    assert await process_one(shop) is Outcome.SAVED

    item = await shop.item(batch_id)
    assert (item.status, item.error_code) == (ItemStatus.FAILED, "ATTEMPTS_EXHAUSTED")
    assert dub(0) in item.error
    assert shop.analyzer.calls == []


async def test_an_item_that_takes_too_long_fails_as_timed_out_and_is_stopped(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), never_ends())

    assert await process_one(shop, timeout_seconds=0.05) is Outcome.SAVED

    item = await shop.item(batch_id)
    assert (item.status, item.error_code) == (ItemStatus.FAILED, "ANALYSIS_TIMEOUT")
    assert "SYNC_ANALYSIS_TIMEOUT_SECONDS" in item.error
    assert shop.analyzer.cancelled == [dub(0)]


async def test_a_timeout_inside_the_analyzer_is_not_taken_for_the_items_own(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), raises(TimeoutError("a socket of the decoder")))
    assert await process_one(shop) is Outcome.BUG
    assert not (await shop.item(batch_id)).status.is_terminal


async def test_a_bug_is_tried_again_later(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), raises(ZeroDivisionError()), answers(found()))
    assert await process_one(shop) is Outcome.BUG
    assert (await shop.item(batch_id)).attempt == 1
    assert await shop.receive_if_any() is None
    shop.clock.advance(6)
    assert await process_one(shop) is Outcome.SAVED


async def test_a_bug_at_every_attempt_fails_the_item_at_the_last_and_stays_a_bug(shop: Workshop) -> None:
    batch_id = await shop.started()
    shop.analyzer.will(dub(0), raises(ZeroDivisionError("division by zero")))
    outcomes = []
    for _ in range(3):
        outcomes.append(await process_one(shop))
        shop.clock.advance(100)

    assert outcomes == [Outcome.BUG] * 3
    item = await shop.item(batch_id)
    assert (item.status, item.error_code) == (ItemStatus.FAILED, "INTERNAL_ERROR")
    assert "died" not in item.error, "no worker died"
    assert await shop.receive_if_any() is None


async def test_the_end_of_an_item_dispatches_the_next_one(shop: Workshop) -> None:
    batch_id = await shop.started(4, parallel_jobs=2)
    assert (await shop.depth()).waiting == 2

    await process_one(shop)

    assert (await shop.item(batch_id, 0)).next_item == 2
    assert (await shop.depth()).waiting == 2
    counters = (await shop.batch(batch_id)).counters
    assert (counters.completed, counters.in_flight, counters.pending) == (1, 2, 1)


async def test_progress_shows_in_the_store(shop: Workshop) -> None:
    batch_id = await shop.started()
    seen = asyncio.Event()

    async def half_done(_request, on_progress):
        on_progress(Progress(AnalysisStage.COMPARING, 0.5))
        await seen.wait()
        return found()

    shop.analyzer.will(dub(0), half_done)
    processing = asyncio.create_task(process_one(shop))

    async def progress_is_stored() -> bool:
        return (await shop.item(batch_id)).progress == ItemProgress("comparing", 50.0)

    await until(progress_is_stored)
    seen.set()
    assert await processing is Outcome.SAVED
    assert (await shop.item(batch_id)).progress is None


def test_back_off_grows_and_has_an_end() -> None:
    policy = AttemptPolicy()
    pauses = [policy.backoff_seconds(attempt) for attempt in range(30)]
    assert pauses[:4] == [5.0, 5.0, 20.0, 80.0]
    assert pauses == sorted(pauses)
    assert max(pauses) == 600.0


def test_every_transient_error_says_whether_it_blames_the_item() -> None:
    of_items = [kind for kind in TransientError.__subclasses__() if kind.__module__ == TransientError.__module__]
    assert {kind.__name__ for kind in of_items if kind.blames_item} == {
        "DecoderCrashed",
        "MediaUnreachable",
        "OutOfMemory",
    }
