"""A drop folder over a back end, with the use cases upon it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sync_core.backends.aws.open import AwsBackend
from sync_core.backends.embedded.drop_store import EmbeddedDropStore
from sync_core.domain.batch import Batch, Item, ItemEnd, ItemStatus
from sync_core.domain.media import MediaPolicy
from sync_core.jobs.csv_rows import UploadLimits
from sync_core.jobs.drop import TakeDrop, Taken
from sync_core.jobs.drop_results import WriteDropResults
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.batch_store import Begun
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.drop_store import DropStore
from sync_core.jobs.start import StartBatch
from sync_core.jobs.submit import SubmitBatch
from sync_core.jobs.webhook_address import WebhookAddresses
from sync_core.reports.results_csv import stream_results_csv
from tests.fakes.tap import Probe, TappedBackend

PAIRS = "master_file,dub_file\nm.wav,d.wav\n"
FORMATS = {"csv": stream_results_csv}


async def once(content: bytes) -> AsyncIterator[bytes]:
    yield content


@dataclass
class DropBox:
    backend: Backend
    files: DropStore
    clock: Clock
    policy: MediaPolicy
    limits: UploadLimits = field(default_factory=UploadLimits)

    @property
    def taking(self) -> TakeDrop:
        store, keys = self.backend.batch_store, self.backend.idempotency_keys
        submit = SubmitBatch(store, keys, self.clock, self.policy, self.limits)
        start = StartBatch(store, self.backend.work_queue, keys, self.clock)
        return TakeDrop(self.files, submit, start, WebhookAddresses())

    @property
    def results(self) -> WriteDropResults:
        return WriteDropResults(self.files, self.backend.batch_store, self.clock, FORMATS)

    async def put(self, key: str, content: str | bytes = b"") -> str:
        """Drop an object; gives its version."""
        await self.files.write(key, once(content.encode() if isinstance(content, str) else content))
        found = await self.files.find(key)
        assert found is not None
        return found.version

    async def take(self, key: str, version: str | None = None) -> Taken:
        return await self.taking.take(key, version)

    async def batches(self) -> list[Batch]:
        """Give all batches, oldest first."""
        return list((await self.backend.batch_store.list_batches(limit=1000)).batches)[::-1]

    async def items(self, batch_id: str) -> tuple[Item, ...]:
        return await self.backend.batch_store.items(batch_id, limit=1000)

    async def starts(self, batch_id: str) -> int:
        """Count how often a batch has been started."""
        events = await self.backend.event_outbox.of_batch(batch_id)
        return [event.event_type.value for event in events].count("batch.started")

    async def read(self, key: str) -> bytes | None:
        found = await self.files.find(key)
        return await self.files.read(found) if found else None

    async def errors(self, key: str) -> dict[str, Any] | None:
        content = await self.read(key)
        return None if content is None else json.loads(content)

    def spoilt_by(self, probe: Probe) -> DropBox:
        """Give the same box with `probe` in each of its calls."""
        tapped: Any = TappedBackend(self.backend, probe)
        return replace(self, backend=tapped, files=_TappedFiles(self.files, probe))


class _TappedFiles:
    def __init__(self, files: DropStore, probe: Probe) -> None:
        self._files, self._probe = files, probe
        self.source, self.knows_versions = files.source, files.knows_versions
        self.folder_reference = files.folder_reference

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._files, method)

        async def tapped(*args: Any, **kwargs: Any) -> Any:
            return await self._probe(f"files.{method}", lambda: call(*args, **kwargs))

        return tapped


def open_box(backend: Backend, data_dir: Path, clock: Clock) -> DropBox:
    """Make a drop folder on a disk."""
    (data_dir / "drop").mkdir(exist_ok=True)
    files = EmbeddedDropStore(data_dir / "drop", data_dir / "results", source="drop")
    return DropBox(backend, files, clock, MediaPolicy(roots=(str(data_dir), "/mnt/data")))


async def open_bucket(backend: AwsBackend, clock: Clock) -> DropBox:
    """Make a drop folder in a bucket that keeps versions."""
    bucket, s3 = backend.resources.bucket, await backend.clients.s3()
    await s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return DropBox(backend, backend.drop_store, clock, MediaPolicy(roots=("/mnt/data",), allowed_buckets=(bucket,)))


async def finish(box: DropBox, batch_id: str) -> None:
    """End all items of a batch, as a worker does that finds no audio in any."""
    store, now, index = box.backend.batch_store, box.clock.now(), 0
    while not (await store.get(batch_id)).status.is_terminal:
        begun = await store.begin_attempt(batch_id, index, worker_id="w", now=now, lease_seconds=60)
        assert isinstance(begun, Begun)
        await store.finish(begun.lease, ItemEnd(ItemStatus.FAILED, error="No audio.", error_code="NO_AUDIO"), now=now)
        index += 1
