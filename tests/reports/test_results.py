"""The results document and the table: shape, safety in spreadsheets, and the memory that they take."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.batch import Batch, BatchStatus, Counters, Item, ItemRequest, ItemStatus, Priority
from sync_core.domain.methods import AiModel, Method
from sync_core.reports.results_csv import COLUMNS, safe_cell, stream_results_csv
from sync_core.reports.results_document import batch_summary, stream_results_document, timestamp

NOW = datetime(2025, 8, 28, 14, 20, 30, 999_999, tzinfo=UTC)
RESULT = {
    "verdict": "offset",
    "offset_seconds": -15.023,
    "confidence": 0.981,
    "method_used": "AI (Wav2Vec2)",
    "speed_ratio": 1.0,
    "drift_ppm": 0.0,
    "segments": [],
    "analysis_id": "20250828_140605_0f1e2d3c",
}


def batch(total: int, **changes: object) -> Batch:
    fields = {"completed": total, "next_item": total, "confidence_sum": 0.923 * total, "confidence_count": total}
    return Batch(
        "batch_20250828_140600_a1b2c3d4",
        changes.pop("status", BatchStatus.COMPLETED),
        Counters(total, **{**fields, **changes}),
        2,
        Priority.NORMAL,
        NOW - timedelta(seconds=860),
        started_at=NOW - timedelta(seconds=847),
        ended_at=NOW,
    )


def item(index: int = 0, status: ItemStatus = ItemStatus.COMPLETED, **changes: object) -> Item:
    request = ItemRequest(
        "/mnt/data/m.wav",
        "/mnt/data/d.wav",
        (Method.AI,),
        AiModel.WAV2VEC2,
        str(changes.pop("description", "")),
        tuple(changes.pop("tags", ())),
    )
    done = {"result": RESULT} if status is ItemStatus.COMPLETED else {}
    return Item("batch_20250828_140600_a1b2c3d4", index, request, status, **{**done, **changes})


async def each(*items: Item) -> AsyncIterator[Item]:
    for one in items:
        yield one


async def document(of: Batch, *items: Item) -> dict:
    return json.loads(b"".join([part async for part in stream_results_document(of, each(*items), NOW)]))


async def table(*items: Item) -> list[dict[str, str]]:
    text = b"".join([part async for part in stream_results_csv(batch(len(items)), each(*items))]).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_times_are_utc_to_the_second():
    summer = datetime.fromisoformat("2025-08-28T16:06:00.999+02:00")
    assert timestamp(summer) == "2025-08-28T14:06:00Z"


async def test_document_of_a_completed_batch():
    found = await document(batch(1), item(description='ü "quoted"\n', tags=("a", "b")))
    assert found["summary"]["average_confidence"] == 0.923
    assert found["summary"]["processing_time_seconds"] == 847.0
    assert list(found["results"][0]["result"])[:4] == ["offset_seconds", "confidence", "method_used", "analysis_id"]
    assert set(found["results"][0]["result"]) == set(RESULT)
    assert found["results"][0]["description"] == 'ü "quoted"\n'
    assert found["results"][0]["tags"] == ["a", "b"]
    assert "error" not in found["results"][0]


async def test_document_without_items_is_json():
    assert (await document(batch(0)))["results"] == []


async def test_failed_item_has_no_result_but_an_error():
    failed = item(status=ItemStatus.FAILED, error="/mnt/data/d.wav does not exist.", error_code="MEDIA_NOT_FOUND")
    (entry,) = (await document(batch(1), failed))["results"]
    assert entry["result"] is None
    assert (entry["error_code"], entry["status"]) == ("MEDIA_NOT_FOUND", "failed")


async def test_unclaimed_items_of_a_cancelled_batch_read_as_cancelled():
    cancelled = batch(3, status=BatchStatus.CANCELLED, completed=0, next_item=1, cancelled=2)
    entries = (await document(cancelled, *(item(index, ItemStatus.PENDING) for index in range(3))))["results"]
    assert [entry["status"] for entry in entries] == ["processing", "cancelled", "cancelled"]


@pytest.mark.parametrize("started", [True, False])
def test_summary_is_always_of_numbers(started):
    fresh = Batch("batch_20250828_140600_a1b2c3d4", BatchStatus.UPLOADED, Counters(3), 2, Priority.NORMAL, NOW)
    found = batch_summary(batch(3) if started else fresh, NOW)
    assert all(isinstance(value, int | float) and value >= 0 for value in found.values())


async def test_table_has_the_documented_columns():
    (row,) = await table(item(description="first", tags=("daily", "batch")))
    assert tuple(row) == COLUMNS
    assert row["offset_seconds"] == "-15.023"
    assert row["tags"] == "daily,batch"
    assert row["error"] == ""


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
async def test_text_that_a_spreadsheet_would_run_is_neutralised(start):
    (row,) = await table(item(description=f"{start}cmd|' /C calc'!A0", tags=(f"{start}x", "y"), error=f"{start}1"))
    assert row["description"] == f"'{start}cmd|' /C calc'!A0"
    assert row["tags"] == f"'{start}x,y"
    assert row["error"] == f"'{start}1"


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0")), number=st.floats(-1e6, 1e6))
def test_no_cell_starts_a_formula_and_numbers_stay_numbers(text, number):
    assert str(safe_cell(text))[:1] not in tuple("=+-@\t\r\n")
    assert str(safe_cell(text)).removeprefix("'") == text.removeprefix("'")
    assert safe_cell(number) == number


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), max_size=3))
async def test_table_quotes_whatever_is_in_it(texts):
    rows = await table(*(item(index, description=text) for index, text in enumerate(texts)))
    assert [row["description"] for row in rows] == [safe_cell(text) for text in texts]


@pytest.mark.parametrize("form", ["json", "csv"])
async def test_memory_does_not_grow_with_the_batch(form):
    async def many() -> AsyncIterator[Item]:
        for index in range(20_000):
            yield item(index, description="x" * 200)

    async def write() -> int:
        parts = (
            stream_results_document(batch(20_000), many(), NOW)
            if form == "json"
            else stream_results_csv(batch(20_000), many())
        )
        return sum([len(part) async for part in parts])

    tracemalloc.start()
    size = await write()
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 5_000_000
    assert peak_bytes < 2_000_000
