"""Write the results of dropped batches once they have ended.

What is still to be written is noted beside the results before the batch is stored, and the note goes when they are
written: a crash anywhere between leaves the note, and writing once more gives the same documents.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sync_core.domain.batch import Batch, Item
from sync_core.domain.errors import NotFound, TransientError
from sync_core.jobs.drop_names import result_key
from sync_core.jobs.ports.batch_store import BatchStore, item_stream
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.drop_store import RESULTS, DropStore

log = logging.getLogger(__name__)

_PENDING = f"{RESULTS}.pending/"
_GIVE_UP = timedelta(days=7)
"""Longer than any event of a dropped file is repeated: then nobody will store that batch any more."""

WriteDocument = Callable[[Batch, AsyncIterator[Item]], AsyncIterator[bytes]]


async def ask_for_results(files: DropStore, batch_id: str, stem: str, now: datetime) -> None:
    """Note that the results of a batch are to be written; may be repeated."""
    note = {"batch_id": batch_id, "stem": stem, "noted_at": now.isoformat()}
    await files.write(f"{_PENDING}{batch_id}.json", _once(json.dumps(note).encode()))


@dataclass(frozen=True, slots=True)
class WriteDropResults:
    """Use case: write what is due. `formats` gives for each suffix how its document is written."""

    files: DropStore
    store: BatchStore
    clock: Clock
    formats: Mapping[str, WriteDocument]

    async def write_due(self) -> int:
        """Write the results of each dropped batch that has ended; gives their number."""
        written = 0
        for key in await self.files.keys(_PENDING):
            try:
                written += await self._write_if_due(key)
            except TransientError as error:
                log.warning("the results of %s will be written later: %s", key, error.message)
        return written

    async def _write_if_due(self, note_key: str) -> bool:
        found = await self.files.find(note_key)
        content = await self.files.read(found) if found else None
        if content is None:
            return False  # somebody else was faster
        note = json.loads(content)
        try:
            batch = await self.store.get(note["batch_id"])
        except NotFound:
            if self.clock.now() - datetime.fromisoformat(note["noted_at"]) > _GIVE_UP:
                await self.files.remove(note_key)
            return False
        if not batch.status.is_terminal or batch.counters.in_flight:
            return False
        for suffix, document in self.formats.items():
            items = item_stream(self.store, batch.batch_id)
            await self.files.write(result_key(note["stem"], batch.batch_id, suffix), document(batch, items))
        await self.files.remove(note_key)
        log.info("wrote the results of a dropped batch", extra={"batch_id": batch.batch_id})
        return True


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
