"""ReportStore: wholly there, or not at all."""

from __future__ import annotations

import asyncio

import pytest

from sync_core.domain.errors import NotFound
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.report_store import ReportStore


@pytest.fixture
def reports(backend: Backend) -> ReportStore:
    return backend.report_store


async def test_what_was_put_is_what_is_read(reports: ReportStore) -> None:
    await reports.put("batch_a/item_001-1.json", b"\x00first\xff")
    await reports.put("batch_a/item_002-1.json", b"")
    assert await reports.get("batch_a/item_001-1.json") == b"\x00first\xff"
    assert await reports.get("batch_a/item_002-1.json") == b""


async def test_putting_again_replaces(reports: ReportStore) -> None:
    await reports.put("batch_a/item_001-1.json", b"first, and long")
    await reports.put("batch_a/item_001-1.json", b"second")
    assert await reports.get("batch_a/item_001-1.json") == b"second"


@pytest.mark.parametrize("key", ["batch_a/item_009.json", "batch_a", "batch_b/item_001.json", "batch_a/item_001/x"])
async def test_what_is_not_there_is_not_found(reports: ReportStore, key: str) -> None:
    await reports.put("batch_a/item_001", b"first")
    with pytest.raises(NotFound):
        await reports.get(key)


@pytest.mark.parametrize(
    "key",
    ["../sync.db", "batch_a/../../sync.db", "/etc/passwd", "", ".", "batch_a//x", "batch_a/./x", "a\0b", "batch_a/"],
)
async def test_a_key_that_could_lead_elsewhere_names_no_report(reports: ReportStore, key: str) -> None:
    for call in (reports.get(key), reports.put(key, b""), reports.discard(f"{key}/../", keep=None)):
        with pytest.raises(NotFound):
            await call


async def test_discarding_keeps_one_and_touches_no_neighbour(reports: ReportStore) -> None:
    keys = [f"batch_a/item_001-{n}.json" for n in range(1, 4)]
    neighbours = ["batch_a/item_0011-1.json", "batch_a/item_001.json", "batch_b/item_001-1.json"]
    for key in (*keys, *neighbours):
        await reports.put(key, key.encode())
    await reports.discard("batch_a/item_001-", keep=keys[1])
    for key in (keys[1], *neighbours):
        assert await reports.get(key) == key.encode()
    for key in (keys[0], keys[2]):
        with pytest.raises(NotFound):
            await reports.get(key)


async def test_discarding_may_be_repeated_and_may_keep_nothing(reports: ReportStore) -> None:
    await reports.discard("batch_a/item_001-", keep=None)
    await reports.put("batch_a/item_001-1.json", b"first")
    for _ in range(2):
        await reports.discard("batch_a/item_001-", keep=None)
    with pytest.raises(NotFound):
        await reports.get("batch_a/item_001-1.json")


async def test_a_reader_never_sees_half_a_document(reports: ReportStore) -> None:
    documents = [bytes([n]) * 200_000 for n in range(8)]
    await reports.put("batch_a/item_001-1.json", documents[0])
    writing = asyncio.gather(*(reports.put("batch_a/item_001-1.json", document) for document in documents))
    while not writing.done():
        assert await reports.get("batch_a/item_001-1.json") in documents
    await writing
