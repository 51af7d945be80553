"""Change a batch: the pure rule decides on META as it was read, and META's version guards what it decided.

Finishers of one batch meet in META. Each asks for the version that it has read, so only one of them wins a version; the
others are told the row as it is, and decide anew::

    worker A   knows version 7 -- ends item 3: version 8 ------------------------------------- saved
    worker B   knows version 7 ------------------- ends item 5: refused, is at 8 -- decides anew: version 9, saved

`written_by` is a name that its writer used only once. Whoever is refused and finds his own has been there before: the
transaction had got through and its answer had not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from random import uniform

from sync_core.backends.aws.keys import DUE, event_key, item_key, meta_key
from sync_core.backends.aws.metas import Metas
from sync_core.backends.aws.rows import Meta, event_row, meta_changes
from sync_core.backends.aws.table import ConditionFailed, Put, Table, Update
from sync_core.backends.aws.trouble import Patience
from sync_core.backends.aws.wire import all_of
from sync_core.domain.batch import Change
from sync_core.domain.errors import Throttled
from sync_core.jobs.overdue import Overdue
from sync_core.jobs.ports.event_outbox import event_of

_MOST_TRIES = 100
_MOST_PAUSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Decision:
    """A change, the items that it ends, and the writes that end them."""

    change: Change
    ended: tuple[int, ...] = ()
    writes: tuple[Update, ...] = ()


@dataclass(frozen=True, slots=True)
class BatchChanges:
    """Stores decisions, each in one transaction."""

    table: Table
    metas: Metas
    overdue: Overdue
    patience: Patience

    async def apply(
        self, batch_id: str, decide: Callable[[Meta], Decision], *, now: datetime, fresh: bool = False
    ) -> Change:
        """Decide on the batch and store what was decided; decides again whenever somebody else was faster.

        `fresh` reads META first; otherwise a guess that is a moment old will do.

        Raises
        ------
        NotFound
            If there is no such batch.
        ConditionFailed
            If one of the decision's own writes is refused; its rows are numbered as those writes are.
        """
        async with self.metas.turn(batch_id):
            meta = await (self.metas.read(batch_id) if fresh else self.metas.recent(batch_id))
            for tries in range(_MOST_TRIES):
                decision = decide(meta)
                after = meta.after(decision.change, ended=decision.ended)
                newer = await self._store(meta, after, decision, now)
                if newer is None:
                    self.metas.remember(after)
                    return decision.change
                meta = newer
                await self.patience.sleep(uniform(0.0, min(0.01 * 2**tries, _MOST_PAUSE_SECONDS)))
        raise Throttled(f"Too many workers end items of {batch_id} at once.")

    async def _store(self, before: Meta, after: Meta, decision: Decision, now: datetime) -> Meta | None:
        """Store META with all that belongs to its change; gives META as it is if its version has moved."""
        writer, own = secrets.token_hex(8), len(decision.writes)
        try:
            await self.table.transact(
                [*decision.writes, *self._batch_writes(before, after, decision.change, writer, now)]
            )
        except ConditionFailed as refused:
            row = refused.rows.get(own)
            if row and row.get("written_by") == writer:
                return None  # this very transaction had got through, its answer had not
            of_own = {place: row for place, row in refused.rows.items() if place < own}
            if of_own or own not in refused.rows:
                raise ConditionFailed(of_own) from None
            return self.metas.seen(row) if row else await self.metas.read(before.batch.batch_id)
        return None

    def _batch_writes(
        self, before: Meta, after: Meta, change: Change, writer: str, now: datetime
    ) -> list[Put | Update]:
        batch_id = after.batch.batch_id
        is_as_read = all_of("#version = :version", version=before.version)
        meta = Update(meta_key(batch_id), {**meta_changes(after), "written_by": writer}, is_as_read)
        claim = {"due": DUE, "due_at": self.overdue.first(now)}
        claims = [Update(item_key(batch_id, index), claim, all_of("attribute_exists(#pk)")) for index in change.claimed]
        event = event_of(change, now)
        if event is None:
            return [meta, *claims]
        return [
            meta,
            *claims,
            Put(event_key(batch_id, event.event_type), event_row(event, expires_at=after.expires_at)),
        ]
