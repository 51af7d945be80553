"""Create a batch: items first, META last, so that nobody sees any of it before all of it is there.

Two requests with one idempotency key may create the same batch at once, and the slower one must not write over items
that are already in work. BatchWriteItem cannot ask that a row is not there, so items are put by transactions that do::

    request A   items -------- META: created -- start -- item 0 begins
    request B       items ............................................ item 0: is there, left alone -- META: refused
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sync_core.backends.aws.expiry import expiry
from sync_core.backends.aws.keys import analysis_key, item_key, meta_key
from sync_core.backends.aws.rows import Meta, meta_row, new_item_row
from sync_core.backends.aws.table import ConditionFailed, Put, Table
from sync_core.backends.aws.wire import all_of
from sync_core.domain.batch import Batch, ItemRequest
from sync_core.domain.ids import analysis_id_of_single

_MOST_WRITES = 90
_MOST_BYTES = 2_000_000
_CHUNKS_AT_ONCE = 8
_IS_NOT_THERE = all_of("attribute_not_exists(#pk)")


@dataclass(frozen=True, slots=True)
class BatchCreation:
    """Creates batches, kept for `retention` from then on."""

    table: Table
    retention: timedelta

    async def create(self, batch: Batch, requests: Sequence[ItemRequest]) -> bool:
        """Store a batch with its items; False if it exists. A small one is a single transaction."""
        meta = Meta(batch, version=1, in_flight=(), expires_at=expiry(batch.created_at + self.retention))
        last, *others = _chunks(_item_puts(meta, requests)) or [[]]
        if others and await self.table.get(meta_key(batch.batch_id)):
            return False
        await self._put_items(others)
        try:
            await self.table.transact([Put(meta_key(batch.batch_id), meta_row(meta), _IS_NOT_THERE), *last])
        except ConditionFailed:
            return False
        return True

    async def _put_items(self, chunks: Sequence[Sequence[Put]]) -> None:
        free = asyncio.Semaphore(_CHUNKS_AT_ONCE)

        async def put(chunk: Sequence[Put]) -> None:
            async with free:
                await self._put_missing(chunk)

        await asyncio.gather(*map(put, chunks))

    async def _put_missing(self, chunk: Sequence[Put]) -> None:
        """Put the rows that are not there; those that are come from the same request, sent before."""
        try:
            await self.table.transact(chunk)
        except ConditionFailed as refused:
            if missing := [put for place, put in enumerate(chunk) if place not in refused.rows]:
                await self._put_missing(missing)


def _item_puts(meta: Meta, requests: Sequence[ItemRequest]) -> Iterator[Put]:
    batch = meta.batch
    analysis_id = analysis_id_of_single(batch.batch_id) if batch.single else None
    for index, request in enumerate(requests):
        row = new_item_row(request, analysis_id=analysis_id, expires_at=meta.expires_at)
        yield Put(item_key(batch.batch_id, index), row, _IS_NOT_THERE)
    if analysis_id:
        pointer = {"batch_id": batch.batch_id, "item_index": 0, "expires_at": meta.expires_at}
        yield Put(analysis_key(analysis_id), pointer)


def _chunks(puts: Iterator[Put]) -> list[list[Put]]:
    """Cut into transactions that are within DynamoDB's limits of writes and bytes."""
    chunks: list[list[Put]] = []
    room = 0
    for put in puts:
        size = len(str(put.row.get("request", "")).encode()) + 500
        if room < size or len(chunks[-1]) == _MOST_WRITES:
            chunks.append([])
            room = _MOST_BYTES
        chunks[-1].append(put)
        room -= size
    return chunks
