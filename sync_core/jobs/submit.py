"""Make batches: from an upload, from one pair, from the failed items of another batch."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, ItemStatus, Priority, StartOptions
from sync_core.domain.errors import WrongState
from sync_core.domain.ids import new_batch_id
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_AI_MODEL, DEFAULT_METHODS, Method
from sync_core.jobs.csv_rows import UploadLimits, allowed_path, parse_upload
from sync_core.jobs.ports.batch_store import BatchStore, item_stream
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.idempotency_keys import IdempotencyKeys
from sync_core.jobs.start import StartBatch


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What an upload says about the batch as a whole; `webhook_url` has been checked by the caller."""

    description: str = ""
    priority: Priority = Priority.NORMAL
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A stored batch with its requests, and the columns of its file that mean nothing here."""

    batch: Batch
    requests: tuple[ItemRequest, ...]
    ignored_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SubmitBatch:
    """Use case: turn requests into a stored batch, once per idempotency key."""

    store: BatchStore
    keys: IdempotencyKeys
    clock: Clock
    policy: MediaPolicy
    limits: UploadLimits

    async def upload(self, content: bytes, options: BatchOptions, *, idempotency_key: str | None = None) -> Submitted:
        """Store the batch that a CSV file describes; a rejected file stores nothing.

        Raises
        ------
        InvalidBatch, TooLarge
            If the file cannot be used.
        IdempotencyConflict
            If the key came with other content before.
        """
        parsed = await asyncio.to_thread(parse_upload, content, limits=self.limits, policy=self.policy)
        fingerprint = content_hash(content, asdict(options))
        batch = await self._store(
            parsed.requests, options, key=_scoped("upload", idempotency_key), fingerprint=fingerprint
        )
        return Submitted(batch, parsed.requests, parsed.ignored_columns)

    async def retry_failed(self, batch_id: str, *, idempotency_key: str | None = None) -> Submitted:
        """Make a new batch of the failed items of an ended one; the old batch stays as it is.

        Objects in S3 that a reference names without a version are looked at anew.

        Raises
        ------
        NotFound
            If there is no such batch.
        WrongState
            If it has not ended, or nothing in it failed.
        """
        old = await self.store.get(batch_id)
        if not old.status.is_terminal:
            raise WrongState(f"Batch {batch_id} is {old.status}; its failed items can be retried once it has ended.")
        failed = [item async for item in item_stream(self.store, batch_id) if item.status is ItemStatus.FAILED]
        if not failed:
            raise WrongState(f"Batch {batch_id} has no failed items to retry.")
        options = BatchOptions(old.description, old.priority, old.webhook_url)
        requests = tuple(replace(item.request, pinned=None) for item in failed)
        key = _scoped(f"retry/{batch_id}", idempotency_key)
        batch = await self._store(requests, options, key=key, fingerprint=batch_id, retry_of=batch_id)
        return Submitted(batch, requests)

    async def single(self, request: ItemRequest, options: BatchOptions, *, key: str | None, fingerprint: str) -> Batch:
        """Store the batch of one that stands behind a one-pair analysis."""
        return await self._store((request,), options, key=_scoped("pair", key), fingerprint=fingerprint, single=True)

    async def _store(
        self,
        requests: Sequence[ItemRequest],
        options: BatchOptions,
        *,
        key: str | None,
        fingerprint: str,
        retry_of: str | None = None,
        single: bool = False,
    ) -> Batch:
        now = self.clock.now()
        batch_id = new_batch_id(now)
        if key:
            batch_id = await self.keys.claim(key, fingerprint=fingerprint, resource_id=batch_id, now=now)
        return await self.store_as(batch_id, requests, options, retry_of=retry_of, single=single)

    async def store_as(
        self,
        batch_id: str,
        requests: Sequence[ItemRequest],
        options: BatchOptions,
        *,
        retry_of: str | None = None,
        single: bool = False,
    ) -> Batch:
        """Store a batch under an id that the caller has claimed, or give the one that is there already."""
        batch = Batch(
            batch_id=batch_id,
            status=BatchStatus.UPLOADED,
            counters=Counters(len(requests)),
            parallel_jobs=StartOptions().parallel_jobs,
            priority=options.priority,
            created_at=self.clock.now(),
            description=options.description,
            webhook_url=options.webhook_url,
            retry_of=retry_of,
            single=single,
        )
        created = await self.store.create(batch, requests)
        return batch if created else await self.store.get(batch_id)


@dataclass(frozen=True, slots=True)
class AnalysePair:
    """Use case: analyse one pair, as a batch of one that is started at once."""

    submit: SubmitBatch
    start: StartBatch

    async def submit_pair(
        self, request: ItemRequest, options: BatchOptions, *, idempotency_key: str | None = None
    ) -> Batch:
        """Store and start the analysis; a repeated key gives the analysis that it made before.

        Raises
        ------
        InvalidMediaReference, PathNotAllowed
            If one of the files may not be read here.
        IdempotencyConflict
            If the key came with another pair or other options before.
        """
        checked = _checked(request, self.submit.policy)
        fingerprint = content_hash(b"", {**asdict(checked), **asdict(options)})
        batch = await self.submit.single(checked, options, key=idempotency_key, fingerprint=fingerprint)
        if batch.status is not BatchStatus.UPLOADED:
            return batch
        return await self.start.start(batch.batch_id, StartOptions(parallel_jobs=1), repeatable=True)


def _checked(request: ItemRequest, policy: MediaPolicy) -> ItemRequest:
    """Check the paths of a pair, and put the defaults where it names nothing, as for a row of an upload."""
    methods = tuple(dict.fromkeys(request.methods)) or DEFAULT_METHODS
    return replace(
        request,
        master_file=allowed_path(request.master_file, policy),
        dub_file=allowed_path(request.dub_file, policy),
        methods=methods,
        ai_model=request.ai_model or (DEFAULT_AI_MODEL if Method.AI in methods else None),
    )


def content_hash(content: bytes, fields: dict[str, object]) -> str:
    """Hash parsed fields and file bytes, to tell a repeated request from another one under the same key."""
    text = json.dumps(fields, sort_keys=True, default=str)
    return hashlib.sha256(hashlib.sha256(content).digest() + text.encode()).hexdigest()


def _scoped(scope: str, key: str | None) -> str | None:
    return f"{scope}/{key}" if key else None
