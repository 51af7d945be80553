"""The events that the BatchStore has recorded, read from beside their batch."""

from __future__ import annotations

from sync_core.backends.aws.keys import EVENT_PREFIX, meta_key
from sync_core.backends.aws.rows import event_of_row
from sync_core.backends.aws.table import Table
from sync_core.backends.aws.wire import Expression
from sync_core.jobs.ports.event_outbox import Event


class AwsEventOutbox:
    """The EventOutbox port on the table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def of_batch(self, batch_id: str) -> tuple[Event, ...]:
        values = {"pk": meta_key(batch_id).pk, "prefix": EVENT_PREFIX}
        rows = await self._table.query(Expression("#pk = :pk AND begins_with(#sk, :prefix)", values))
        return tuple(map(event_of_row, rows))
