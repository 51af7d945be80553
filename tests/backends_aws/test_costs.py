"""What an item, a status and a page cost in requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from sync_core.backends.aws.open import AwsBackend
from sync_core.domain.batch import BatchStatus
from sync_core.domain.result import AnalysisResult
from sync_core.jobs.ports.analyzer import AnalysisRequest, OnProgress
from sync_core.jobs.ports.batch_store import item_stream
from sync_core.jobs.ports.clock import SystemClock
from tests.backends_aws.traffic import Ledger
from tests.backends_aws.workers import Yard
from tests.conformance.batches import Batches, request_of
from tests.fakes.analyzer import found

MOST_REQUESTS_PER_ITEM = 8


async def test_an_item_that_takes_no_time(ministack: AwsBackend) -> None:
    yard = Yard(ministack)
    await yard.started(12, parallel_jobs=1)
    ledger = await Ledger.of(ministack)
    await yard.work()
    ledger.counts.pop("GetItem", None)  # on a machine that is busy the item takes its time
    assert ledger.counts == {
        "ReceiveMessage": 12,
        "BatchGetItem": 12,
        "TransactWriteItems": 24,
        "PutObject": 12,
        "SendMessageBatch": 11,
        "DeleteMessage": 12,
    }
    assert ledger.total < MOST_REQUESTS_PER_ITEM * 12


async def test_an_item_that_takes_its_time(ministack: AwsBackend) -> None:
    """META is read once more then at the most, for what was known of it is old. Heartbeats do not count."""

    async def slow(_request: AnalysisRequest, _on_progress: OnProgress) -> AnalysisResult:
        await asyncio.sleep(2.2)
        return found()

    yard = Yard(ministack, act=slow)
    await yard.started(2, parallel_jobs=1)
    ledger = await Ledger.of(ministack)
    await yard.work()
    heartbeats = ledger.counts["ChangeMessageVisibility"]
    counts = ledger.counts - Counter(
        {"UpdateItem": heartbeats, "GetItem": heartbeats, "ChangeMessageVisibility": heartbeats}
    )
    assert heartbeats >= 2
    assert counts["GetItem"] <= 2
    assert (counts["TransactWriteItems"], counts["UpdateItem"]) == (4, 0)
    assert counts.total() <= MOST_REQUESTS_PER_ITEM * 2


async def test_a_status_is_one_read(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(50)
    ledger = await Ledger.of(backend)
    await batches.store.get(batch_id)
    assert ledger.counts == {"GetItem": 1}


async def test_a_page_is_one_query(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.uploaded(50)
    await batches.store.get(batch_id)
    ledger = await Ledger.of(backend)
    assert len(await batches.store.items(batch_id, start=10, limit=20)) == 20
    assert ledger.counts == {"Query": 1}


async def test_all_items_are_one_query_for_each_thousand(ministack: AwsBackend) -> None:
    yard = Yard(ministack)
    batch_id = await yard.uploaded(2500)
    await ministack.batch_store.get(batch_id)
    ledger = await Ledger.of(ministack)
    indexes = [item.index async for item in item_stream(ministack.batch_store, batch_id)]
    assert indexes == list(range(2500))
    assert ledger.counts == {"Query": 3}


async def test_a_small_batch_is_created_in_one_request(backend: AwsBackend, batches: Batches) -> None:
    await backend.clients.dynamodb()
    ledger = await Ledger.of(backend)
    batch = batches.new(89)
    await batches.store.create(batch, [request_of(index) for index in range(89)])
    assert ledger.counts == {"TransactWriteItems": 1}


async def test_a_list_is_one_query_and_one_read(backend: AwsBackend, batches: Batches) -> None:
    for _ in range(5):
        await batches.uploaded(1)
    ledger = await Ledger.of(backend)
    page = await batches.store.list_batches(limit=3)
    assert [batch.status for batch in page.batches] == [BatchStatus.UPLOADED] * 3
    assert ledger.counts == {"Query": 1, "BatchGetItem": 1}


async def test_an_idle_worker_asks_for_little(ministack: AwsBackend) -> None:
    yard = Yard(ministack)
    ledger = await Ledger.of(ministack)
    before = SystemClock().now()
    await yard.receive(wait_seconds=2.0)
    assert (SystemClock().now() - before).total_seconds() >= 1.9
    assert (ledger.counts, ledger.empty_receives) == (Counter(), 5)


def test_nothing_scans() -> None:
    sources = Path(__file__).parents[2] / "sync_core" / "backends" / "aws"
    texts = {path.name: path.read_text() for path in sources.glob("*.py")}
    assert len(texts) > 10
    assert [name for name, text in texts.items() if '"scan"' in text or ".scan(" in text] == []
