"""META rows: read, remembered for a moment, and changed by one process in turns."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

from sync_core.backends.aws.keys import meta_key
from sync_core.backends.aws.rows import Meta, meta_of
from sync_core.backends.aws.table import Table
from sync_core.backends.aws.wire import Row
from sync_core.domain.errors import NotFound

_FRESH_SECONDS = 1.0
_MOST_REMEMBERED = 1000


class Metas:
    """Reads of META, with the last one of each batch kept.

    What is remembered may be out of date. It is good as a first guess for a write that asks for the row's version, and
    for what never changes.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._last: OrderedDict[str, tuple[float, Meta]] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, batch_id: str) -> Meta:
        """Read the row as it is now.

        Raises
        ------
        NotFound
            If there is no such batch.
        """
        row = await self._table.get(meta_key(batch_id))
        if row is None:
            raise NotFound(f"There is no batch {batch_id}.")
        return self.seen(row)

    async def read_many(self, batch_ids: Sequence[str]) -> list[Meta]:
        """Read rows as they are now, in the order asked for; those that are gone are left out."""
        keys = [meta_key(batch_id) for batch_id in batch_ids]
        rows = await self._table.get_many(keys)
        return [self.seen(rows[key]) for key in keys if key in rows]

    async def recent(self, batch_id: str) -> Meta:
        """Give what was seen within the last second, or read."""
        seen_at, meta = self._last.get(batch_id, (0.0, None))
        is_fresh = meta is not None and _now() - seen_at < _FRESH_SECONDS
        return meta if meta is not None and is_fresh else await self.read(batch_id)

    async def total(self, batch_id: str) -> int:
        """Give how many items a batch has; 0 for one that is not there, or not wholly there yet."""
        if batch_id in self._last:
            return self._last[batch_id][1].batch.counters.total
        try:
            return (await self.read(batch_id)).batch.counters.total
        except NotFound:
            return 0

    def seen(self, row: Row) -> Meta:
        """Remember a row that a read or a refused write has shown."""
        meta = meta_of(row)
        self.remember(meta)
        return meta

    def remember(self, meta: Meta) -> None:
        batch_id = meta.batch.batch_id
        self._last[batch_id] = (_now(), meta)
        self._last.move_to_end(batch_id)
        if len(self._last) > _MOST_REMEMBERED:
            self._last.popitem(last=False)

    def turn(self, batch_id: str) -> asyncio.Lock:
        """Give the lock that lets this process's writers of one META come one after the other.

        It spares them each other's conflicts; against other processes only the row's version guards.
        """
        lock: Any = self._turns.setdefault(batch_id, asyncio.Lock())
        return lock  # type: ignore[no-any-return]


def _now() -> float:
    return asyncio.get_running_loop().time()
