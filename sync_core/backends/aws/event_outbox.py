"""The events that the BatchStore has recorded, and where their deliveries are, in the rows beside their batch.

Each change of a delivery asks for the version that it was computed from::

    sender A   reads version 3 -- claims: version 4 -- sends ------------------- delivered: version 5
    sender B   reads version 3 ------------- claims: refused, leaves it to A

`written_by` is a name that its writer used only once. Whoever is refused and finds his own has been there before.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from sync_core.backends.aws.keys import EVENT_PREFIX, WEBHOOKS_DUE, Key, event_key, meta_key
from sync_core.backends.aws.resources import ITEMS_DUE
from sync_core.backends.aws.rows import delivery_changes
from sync_core.backends.aws.table import ConditionFailed, Table, Update
from sync_core.backends.aws.wire import Expression, Row, all_of
from sync_core.domain.micros import to_micros
from sync_core.jobs.ports.event_outbox import Event, WebhookDelivery
from sync_core.jobs.stored_events import read_delivery, read_event

_MOST_KEYS = 5000
_MOST_REMEMBERED = 20_000
_ROWS_PER_READ = 100


class AwsEventOutbox:
    """The EventOutbox port on the table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._receivers: dict[Key, str] = {}

    async def of_batch(self, batch_id: str) -> tuple[Event, ...]:
        return tuple(map(read_event, await self._rows(batch_id)))

    async def deliveries(self, batch_id: str) -> tuple[WebhookDelivery, ...]:
        return tuple(read_delivery(row) for row in await self._rows(batch_id) if "status" in row)

    async def due(
        self, *, now: datetime, limit: int, is_wanted: Callable[[str], bool] = lambda _url: True
    ) -> tuple[WebhookDelivery, ...]:
        """Cost one query of the index, which may lag behind, and one read for each hundred rows that are wanted or new.

        Receivers of rows that were seen before are remembered: a crowd that waits for a busy one is read once.
        """
        condition = Expression("#due = :due AND #due_at <= :now", {"due": WEBHOOKS_DUE, "now": to_micros(now)})
        found = await self._table.query(condition, index=ITEMS_DUE, limit=_MOST_KEYS)
        keys = [Key(row["pk"], row["sk"]) for row in found]
        wanted: list[WebhookDelivery] = []
        for first in range(0, len(keys), _ROWS_PER_READ):
            wanted += await self._wanted(keys[first : first + _ROWS_PER_READ], now, limit - len(wanted), is_wanted)
            if len(wanted) == limit:
                break
        return tuple(wanted)

    async def save(self, delivery: WebhookDelivery) -> WebhookDelivery | None:
        key = event_key(delivery.event.batch_id, delivery.event.event_type)
        writer = secrets.token_hex(8)
        changes = {**delivery_changes(delivery), "written_by": writer}
        try:
            await self._table.write(Update(key, changes, all_of("#version = :version", version=delivery.version)))
        except ConditionFailed as refused:
            row = refused.rows[0]
            if row is None or row.get("written_by") != writer:
                return None
        return replace(delivery, version=delivery.version + 1)

    async def _wanted(
        self, keys: Sequence[Key], now: datetime, most: int, is_wanted: Callable[[str], bool]
    ) -> list[WebhookDelivery]:
        rows = await self._table.get_many([key for key in keys if key not in self._receivers])
        self._remember(rows)
        known = (key for key in keys if key in self._receivers)
        chosen = list(islice((key for key in known if is_wanted(self._receivers[key])), most))
        rows |= await self._table.get_many([key for key in chosen if key not in rows])
        return [read_delivery(rows[key]) for key in chosen if key in rows and _is_due(rows[key], now)]

    def _remember(self, rows: Mapping[Key, Row]) -> None:
        if len(self._receivers) > _MOST_REMEMBERED:
            self._receivers.clear()
        self._receivers |= {key: row["webhook_url"] for key, row in rows.items()}

    async def _rows(self, batch_id: str) -> list[Row]:
        values = {"pk": meta_key(batch_id).pk, "prefix": EVENT_PREFIX}
        return await self._table.query(Expression("#pk = :pk AND begins_with(#sk, :prefix)", values))


def _is_due(row: Row, now: datetime) -> bool:
    return "due_at" in row and bool(row["due_at"] <= to_micros(now))
