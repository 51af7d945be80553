"""Requests for many that are done for some: the others are asked for again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sync_core.backends.aws.open import AwsBackend, open_backend
from sync_core.backends.aws.trouble import Patience
from sync_core.domain.batch import Priority
from sync_core.domain.errors import NotFound, StorageUnavailable, Throttled
from sync_core.jobs.ports.work_queue import Message
from tests.aws_emulators import REGION, emulator
from tests.backends_aws.traffic import Ledger, hook
from tests.conformance.batches import Batches

HASTY = Patience(attempts=4, first_pause_seconds=0.001)
ENTRIES = [Message("batch_a", index, Priority.NORMAL) for index in range(25)]


async def spoil(backend: AwsBackend, operation: str, change: Callable[[dict[str, Any]], None], times: int) -> None:
    """Change the first answers to an operation."""
    left = [None] * times

    def after(*, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if model.name == operation and left:
            left.pop()
            change(parsed)

    await hook(backend, "after-call", after)


def hasty(backend: AwsBackend) -> AwsBackend:
    endpoint = emulator("ministack").endpoint_url
    return open_backend(backend.resources, endpoint_url=endpoint, region=REGION, patience=HASTY)


async def test_messages_that_sqs_does_not_take_are_sent_again(backend: AwsBackend) -> None:
    def refuse_two(parsed: dict[str, Any]) -> None:
        refused = [parsed["Successful"].pop() for _ in range(2)]
        parsed["Failed"] = [{"Id": each["Id"], "Code": "InternalError"} for each in refused]

    await spoil(backend, "SendMessageBatch", refuse_two, times=2)
    ledger = await Ledger.of(backend)
    await backend.work_queue.send(ENTRIES)
    assert ledger.counts["SendMessageBatch"] == 3 + 2
    assert (await backend.work_queue.depth())[Priority.NORMAL].waiting == 25 + 4  # those were taken after all


async def test_messages_that_sqs_never_takes_are_an_error(ministack: AwsBackend) -> None:
    def refuse(parsed: dict[str, Any]) -> None:
        parsed["Failed"] = [{"Id": each["Id"], "Code": "InternalError"} for each in parsed.pop("Successful")]

    impatient = hasty(ministack)
    await spoil(impatient, "SendMessageBatch", refuse, times=100)
    with pytest.raises(StorageUnavailable, match="does not take 10 messages"):
        await impatient.work_queue.send(ENTRIES)
    await impatient.close()


async def test_rows_that_dynamodb_leaves_out_are_read_again(backend: AwsBackend, batches: Batches) -> None:
    batch_id = await batches.started(3)

    def leave_out(parsed: dict[str, Any]) -> None:
        ((table, rows),) = parsed["Responses"].items()
        row = rows.pop()
        left = {"Keys": [{name: row[name] for name in ("pk", "sk")}], "ConsistentRead": True}
        parsed["UnprocessedKeys"] = {table: left}

    await spoil(backend, "BatchGetItem", leave_out, times=2)
    assert (await batches.begin(batch_id)).item.index == 0


async def test_rows_that_dynamodb_never_gives_are_an_error(ministack: AwsBackend, clocked: Batches) -> None:
    impatient = hasty(ministack)
    batch_id = await clocked.started(1)

    def keep_all(parsed: dict[str, Any]) -> None:
        ((table, rows),) = parsed["Responses"].items()
        keys = [{name: row[name] for name in ("pk", "sk")} for row in rows]
        parsed.update(Responses={table: []}, UnprocessedKeys={table: {"Keys": keys}})

    await spoil(impatient, "BatchGetItem", keep_all, times=100)
    with pytest.raises(Throttled, match="slow down"):
        await Batches(impatient.batch_store, impatient.event_outbox, clocked.clock).begin(batch_id)
    await impatient.close()


async def test_reports_that_s3_does_not_delete_are_deleted_again(backend: AwsBackend) -> None:
    keys = [f"batch_a/item_001-{number}.json" for number in range(4)]
    for key in keys:
        await backend.report_store.put(key, b"{}")

    def fail_one(parsed: dict[str, Any]) -> None:
        parsed["Errors"] = [{"Key": f"reports/{keys[0]}", "Code": "InternalError"}]

    await spoil(backend, "DeleteObjects", fail_one, times=2)
    ledger = await Ledger.of(backend)
    await backend.report_store.discard("batch_a/item_001-", keep=keys[3])
    assert ledger.counts == {"ListObjectsV2": 1, "DeleteObjects": 3}
    with pytest.raises(NotFound):
        await backend.report_store.get(keys[0])


async def test_a_page_that_is_cut_by_its_size_is_read_on(ministack: AwsBackend, clocked: Batches) -> None:
    batch_id = await clocked.uploaded(10)

    def cut(parsed: dict[str, Any]) -> None:
        last = parsed["Items"][3]
        parsed.update(Items=parsed["Items"][:4], LastEvaluatedKey={name: last[name] for name in ("pk", "sk")})

    await spoil(ministack, "Query", cut, times=2)
    assert [item.index for item in await ministack.batch_store.items(batch_id, limit=10)] == list(range(10))
