"""Waiting for the end of a one-pair analysis."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from sync_core.domain.batch import ItemStatus
from sync_core.domain.errors import NotFound
from sync_core.jobs.await_analysis import AnalysisNotDone, AwaitAnalysis
from tests.fakes.workshop import Workshop


async def analysis_id_of(shop: Workshop, batch_id: str) -> str:
    """Begin the first item, which gives it its analysis id, and give it back."""
    store, now = shop.backend.batch_store, shop.clock.now()
    begun = await store.begin_attempt(batch_id, 0, worker_id="a", now=now, lease_seconds=60)
    await store.release(begun.lease, now=now, count_attempt=False)
    return begun.item.analysis_id


async def test_it_answers_as_soon_as_the_item_has_ended(shop: Workshop) -> None:
    batch_id = await shop.started()
    analysis_id = await analysis_id_of(shop, batch_id)
    waiting = asyncio.create_task(AwaitAnalysis(shop.backend.batch_store, shop.clock).until_ended(analysis_id, 1e6))
    await asyncio.sleep(0.01)
    await shop.processor().process(await shop.receive())
    ended_at = (await shop.item(batch_id)).ended_at
    batch, item = await asyncio.wait_for(waiting, 5)
    assert (batch.batch_id, item.status) == (batch_id, ItemStatus.COMPLETED)
    assert shop.clock.now() - ended_at <= timedelta(seconds=1)


async def test_after_its_time_it_says_that_the_analysis_goes_on_and_where_to_ask(shop: Workshop) -> None:
    batch_id = await shop.started()
    analysis_id, began = await analysis_id_of(shop, batch_id), shop.clock.now()
    with pytest.raises(AnalysisNotDone, match=f"/api/v1/analysis/{analysis_id}"):
        await AwaitAnalysis(shop.backend.batch_store, shop.clock).until_ended(analysis_id, 30)
    assert shop.clock.now() - began == timedelta(seconds=30)


async def test_a_cancelled_analysis_is_not_waited_for(shop: Workshop) -> None:
    batch_id = await shop.started()
    analysis_id = await analysis_id_of(shop, batch_id)
    await shop.cancel(batch_id)
    _, item = await AwaitAnalysis(shop.backend.batch_store, shop.clock).until_ended(analysis_id, 30)
    assert item.status is ItemStatus.CANCELLED


async def test_an_unknown_analysis_is_not_found(shop: Workshop) -> None:
    with pytest.raises(NotFound):
        await AwaitAnalysis(shop.backend.batch_store, shop.clock).until_ended("20250828_140605_0f1e2d3c", 30)
