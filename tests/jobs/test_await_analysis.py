"""Waiting for an analysis: until it ends, or until the time is over."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sync_core.domain.batch import Batch, BatchStatus, Counters, Item, ItemRequest, ItemStatus, Priority
from sync_core.jobs.await_analysis import AnalysisNotDone, AwaitAnalysis

BEGIN = datetime(2025, 8, 28, tzinfo=UTC)
RUNNING = Batch("batch_20250828_140600_a1b2c3d4", BatchStatus.PROCESSING, Counters(1, 1, 1), 1, Priority.NORMAL, BEGIN)
ITEM = Item(RUNNING.batch_id, 0, ItemRequest("/m", "/d", ()))


class Passing:
    """A clock whose sleep moves it on, and a store in which the analysis ends at a given time."""

    def __init__(self, ends_after_seconds: float, end: tuple[Batch, Item]) -> None:
        self.time, self.ends_at, self.end, self.looks = BEGIN, BEGIN + timedelta(seconds=ends_after_seconds), end, 0

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)

    async def find_analysis(self, analysis_id: str) -> tuple[Batch, Item]:
        self.looks += 1
        return self.end if self.time >= self.ends_at else (RUNNING, ITEM)


DONE = (RUNNING, replace(ITEM, status=ItemStatus.COMPLETED))
UNSTARTED = replace(RUNNING, status=BatchStatus.CANCELLED, counters=Counters(1, cancelled=1))


@pytest.mark.parametrize("end", [DONE, (UNSTARTED, ITEM)])
async def test_returns_once_it_has_ended(end):
    world = Passing(3.0, end)
    assert await AwaitAnalysis(world, world).until_ended("id", 60.0) == end
    assert 3.0 <= (world.time - BEGIN).total_seconds() <= 3.25
    assert world.looks < 30


async def test_gives_up_when_the_time_is_over():
    world = Passing(3.0, DONE)
    with pytest.raises(AnalysisNotDone, match=r"within 2\.5 s and goes on") as caught:
        await AwaitAnalysis(world, world).until_ended("20250828_140605_0f1e2d3c", 2.5)
    assert world.time == BEGIN + timedelta(seconds=2.5)
    assert caught.value.analysis_id == "20250828_140605_0f1e2d3c"


async def test_looks_once_without_any_time():
    world = Passing(0.0, DONE)
    assert await AwaitAnalysis(world, world).until_ended("id", 0.0) == DONE
