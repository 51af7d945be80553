"""Objects in S3 stay what they were at an item's first attempt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, ItemStatus, Priority, StartOptions
from sync_core.domain.errors import DecoderCrashed, MediaForbidden, StorageUnavailable
from sync_core.domain.ids import new_batch_id
from sync_core.domain.media import MediaPolicy, MediaRef, MediaScheme
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.remote_media import Refusal
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.process import Outcome
from sync_core.jobs.submit import SubmitBatch
from tests.fakes.analyzer import answers, found, raises
from tests.fakes.workshop import Workshop

MASTER, DUB = "/mnt/data/master.mov", "s3://studio/dub.mov"


@dataclass
class Objects:
    """A bucket whose objects all have the same version, which changes."""

    version: str = "1"
    error: Exception | None = None
    looked_at: list[str] = field(default_factory=list)

    async def pin(self, ref: MediaRef) -> MediaRef:
        if ref.scheme is not MediaScheme.S3 or ref.is_pinned:
            return ref
        self.looked_at.append(ref.location)
        if self.error:
            raise self.error
        return replace(ref, version=self.version)

    async def address(self, ref: MediaRef, refusal: Refusal | None = None) -> str:
        raise NotImplementedError


async def started(shop: Workshop, objects: Objects, dub: str = DUB) -> str:
    shop.media = objects
    now = shop.clock.now()
    batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(1), 2, Priority.NORMAL, now)
    await shop.backend.batch_store.create(batch, [ItemRequest(MASTER, dub, DEFAULT_METHODS)])
    await shop.start_batch.start(batch.batch_id, StartOptions())
    return batch.batch_id


async def attempt(shop: Workshop) -> Outcome:
    outcome = await shop.processor().process(await shop.receive())
    shop.clock.advance(600)
    return outcome


async def test_every_attempt_reads_what_the_first_one_found(shop: Workshop) -> None:
    objects = Objects()
    batch_id = await started(shop, objects, f"{DUB}#a:1")
    pinned = f"{DUB}#v:1,a:1"
    shop.analyzer.will(pinned, raises(DecoderCrashed("it crashed")), answers(found()))

    assert await attempt(shop) is Outcome.LATER
    objects.version = "2"
    assert await attempt(shop) is Outcome.SAVED

    item = await shop.item(batch_id)
    assert (item.status, item.attempt) == (ItemStatus.COMPLETED, 2)
    assert item.request.pinned == (MASTER, pinned)
    assert (item.request.master_file, item.request.dub_file) == (MASTER, f"{DUB}#a:1")
    assert objects.looked_at == [DUB]


async def test_a_version_that_an_event_named_is_not_looked_for(shop: Workshop) -> None:
    objects = Objects(version="2")
    batch_id = await started(shop, objects, f"{DUB}#v:1")
    shop.analyzer.will(f"{DUB}#v:1", answers(found()))
    assert await attempt(shop) is Outcome.SAVED
    assert (await shop.item(batch_id)).request.pinned is None
    assert objects.looked_at == []


async def test_an_object_that_may_not_be_read_fails_its_item(shop: Workshop) -> None:
    batch_id = await started(shop, Objects(error=MediaForbidden("s3://studio/dub.mov: allow s3:GetObject")))
    assert await attempt(shop) is Outcome.SAVED
    item = await shop.item(batch_id)
    assert (item.status, item.error_code) == (ItemStatus.FAILED, "MEDIA_FORBIDDEN")
    assert "allow s3:GetObject" in (item.error or "")


async def test_a_storage_that_does_not_answer_costs_no_attempt(shop: Workshop) -> None:
    objects = Objects(error=StorageUnavailable("S3 gives no answer"))
    batch_id = await started(shop, objects)
    shop.analyzer.will(f"{DUB}#v:1", answers(found()))
    assert [await attempt(shop), await attempt(shop)] == [Outcome.LATER] * 2
    objects.error = None
    assert await attempt(shop) is Outcome.SAVED
    assert (await shop.item(batch_id)).attempt == 1


async def test_failed_items_that_are_tried_again_are_looked_at_anew(shop: Workshop) -> None:
    objects = Objects()
    batch_id = await started(shop, objects)
    shop.analyzer.will(f"{DUB}#v:1", raises(MediaForbidden("not yet")))
    assert await attempt(shop) is Outcome.SAVED

    backend, objects.version = shop.backend, "2"
    submit = SubmitBatch(
        backend.batch_store, backend.idempotency_keys, shop.clock, MediaPolicy(), UploadLimits(10**6, 100)
    )
    again = (await submit.retry_failed(batch_id)).batch.batch_id
    await shop.start_batch.start(again, StartOptions())
    shop.analyzer.will(f"{DUB}#v:2", answers(found()))
    assert await attempt(shop) is Outcome.SAVED
    assert (await shop.item(again)).status is ItemStatus.COMPLETED
