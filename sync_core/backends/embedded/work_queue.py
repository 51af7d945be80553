"""Queues in SQLite with the semantics of SQS: visibility timeouts, receive counts, dead letters, delays.

Batches take turns: the batch that was served longest ago comes first, so that a large one does not delay a small one.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sync_core.backends.embedded.database import Database
from sync_core.domain.batch import Priority
from sync_core.domain.micros import seconds, to_micros
from sync_core.jobs.ports.clock import Clock, SystemClock
from sync_core.jobs.ports.work_queue import Delivery, Message, QueueDepth

_LOOK_EVERY = timedelta(seconds=1)


class EmbeddedWorkQueue:
    """The WorkQueue port on a SQLite file.

    Parameters
    ----------
    max_receives
        How often a message may be received before it becomes a dead letter.
    poll_seconds
        How often a waiting receiver asks whether any process has committed something.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock = SystemClock(),  # noqa: B008 - has no state
        max_receives: int = 10,
        poll_seconds: float = 0.1,
    ) -> None:
        self._database = database
        self._clock = clock
        self._max_receives = max_receives
        self._poll_seconds = poll_seconds

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0.0) -> None:
        if messages:
            visible_at = self._in(delay_seconds)
            await self._database.write(lambda db: _send(db, messages, visible_at))

    async def receive(
        self, priorities: Sequence[Priority], *, visibility_seconds: float, wait_seconds: float = 0.0
    ) -> Delivery | None:
        until = self._clock.now() + timedelta(seconds=wait_seconds)
        while True:
            version = self._database.version()
            delivery = await self._receive_now(priorities, visibility_seconds)
            if delivery is not None or not await self._wait_for_arrival(priorities, version, until):
                return delivery

    async def extend(self, delivery: Delivery, *, visibility_seconds: float) -> None:
        message_no, receipt = _split(delivery.receipt_handle)
        visible_at = self._in(visibility_seconds)
        await self._database.write(
            lambda db: (
                db.execute(
                    "UPDATE messages SET visible_at = ? WHERE message_no = ? AND receipt = ?",
                    (visible_at, message_no, receipt),
                ).rowcount
            )
        )

    async def delete(self, delivery: Delivery) -> None:
        await self._database.write(lambda db: _delete(db, delivery))

    async def depth(self) -> Mapping[Priority, QueueDepth]:
        now = to_micros(self._clock.now())
        return await self._database.read(lambda db: _depth(db, now))

    async def receive_dead(self, *, limit: int, visibility_seconds: float) -> tuple[Delivery, ...]:
        now, until = to_micros(self._clock.now()), self._in(visibility_seconds)
        return await self._database.write(lambda db: _receive_dead(db, limit, now=now, until=until))

    async def _receive_now(self, priorities: Sequence[Priority], visibility_seconds: float) -> Delivery | None:
        now, until = to_micros(self._clock.now()), self._in(visibility_seconds)
        return await self._database.write(
            lambda db: _receive(db, priorities, now=now, until=until, max_receives=self._max_receives)
        )

    async def _wait_for_arrival(self, priorities: Sequence[Priority], version: int, until: datetime) -> bool:
        """Look when something was committed, and now and then for what time makes visible; False when time is over."""
        look_at = self._clock.now() + _LOOK_EVERY
        while (now := self._clock.now()) < until:
            await self._clock.sleep(min(self._poll_seconds, (until - now).total_seconds()))
            seen, version = version, self._database.version()
            is_time = self._clock.now() >= look_at
            if (version != seen or is_time) and await self._is_any_visible(priorities):
                return True
            if is_time:
                look_at = self._clock.now() + _LOOK_EVERY
        return False

    async def _is_any_visible(self, priorities: Sequence[Priority]) -> bool:
        now = to_micros(self._clock.now())
        return await self._database.read(lambda db: any(_next_visible(db, each, now) for each in priorities))

    def _in(self, wait_seconds: float) -> int:
        return to_micros(self._clock.now()) + seconds(wait_seconds)


def _send(db: sqlite3.Connection, messages: Sequence[Message], visible_at: int) -> None:
    db.executemany(
        "INSERT INTO messages (priority, batch_id, item_index, trace, visible_at) VALUES (?, ?, ?, ?, ?)",
        [
            (message.priority.value, message.batch_id, message.item_index, message.trace, visible_at)
            for message in messages
        ],
    )
    db.executemany(
        "INSERT OR IGNORE INTO queue_groups (priority, batch_id, turn) VALUES (?, ?, 0)",
        {(message.priority.value, message.batch_id) for message in messages},
    )


def _next_visible(db: sqlite3.Connection, priority: Priority, now: int) -> sqlite3.Row | None:
    """Find the first visible message of the batch whose turn it is."""
    row: sqlite3.Row | None = db.execute(
        """
        SELECT messages.message_no, messages.batch_id, messages.item_index, messages.trace,
            messages.receive_count
        FROM queue_groups CROSS JOIN messages USING (priority, batch_id)
        WHERE queue_groups.priority = ? AND messages.dead = 0 AND messages.visible_at <= ?
        ORDER BY queue_groups.turn LIMIT 1
        """,
        (priority.value, now),
    ).fetchone()
    return row


def _receive(
    db: sqlite3.Connection, priorities: Sequence[Priority], *, now: int, until: int, max_receives: int
) -> Delivery | None:
    for priority in priorities:
        while (row := _next_visible(db, priority, now)) is not None:
            if row["receive_count"] < max_receives:
                _end_turn(db, priority, row["batch_id"])
                return _hand_out(db, priority, row, until)
            _bury(db, priority, row, now)
    return None


def _end_turn(db: sqlite3.Connection, priority: Priority, batch_id: str) -> None:
    db.execute(
        """
        UPDATE queue_groups SET turn = (SELECT MAX(turn) + 1 FROM queue_groups WHERE priority = :priority)
        WHERE priority = :priority AND batch_id = :batch_id
        """,
        {"priority": priority.value, "batch_id": batch_id},
    )


def _hand_out(db: sqlite3.Connection, priority: Priority, row: sqlite3.Row, until: int) -> Delivery:
    """Hide a message under a new receipt, which makes all earlier ones stale."""
    receipt = secrets.token_hex(8)
    db.execute(
        "UPDATE messages SET visible_at = ?, receipt = ?, receive_count = receive_count + 1 WHERE message_no = ?",
        (until, receipt, row["message_no"]),
    )
    message = Message(row["batch_id"], row["item_index"], priority, row["trace"])
    return Delivery(message, f"{row['message_no']}.{receipt}", row["receive_count"] + 1)


def _bury(db: sqlite3.Connection, priority: Priority, row: sqlite3.Row, now: int) -> None:
    db.execute(
        "UPDATE messages SET dead = 1, visible_at = ?, receipt = NULL WHERE message_no = ?", (now, row["message_no"])
    )
    _drop_empty_group(db, priority.value, row["batch_id"])


def _delete(db: sqlite3.Connection, delivery: Delivery) -> None:
    handle, message = _split(delivery.receipt_handle), delivery.message
    if db.execute("DELETE FROM messages WHERE message_no = ? AND receipt = ?", handle).rowcount:
        _drop_empty_group(db, message.priority.value, message.batch_id)


def _drop_empty_group(db: sqlite3.Connection, priority: str, batch_id: str) -> None:
    db.execute(
        """
        DELETE FROM queue_groups WHERE priority = :priority AND batch_id = :batch_id AND NOT EXISTS (
            SELECT 1 FROM messages WHERE priority = :priority AND batch_id = :batch_id AND dead = 0)
        """,
        {"priority": priority, "batch_id": batch_id},
    )


def _split(receipt_handle: str) -> tuple[int, str]:
    message_no, _, receipt = receipt_handle.partition(".")
    return int(message_no), receipt


def _depth(db: sqlite3.Connection, now: int) -> dict[Priority, QueueDepth]:
    rows = db.execute(
        """
        SELECT priority, SUM(dead) AS dead, SUM(NOT dead AND receipt IS NOT NULL AND visible_at > ?) AS in_flight,
            COUNT(*) AS total
        FROM messages GROUP BY priority
        """,
        (now,),
    )
    counts = {row["priority"]: row for row in rows}
    return {priority: _depth_of(counts.get(priority.value)) for priority in Priority}


def _depth_of(row: sqlite3.Row | None) -> QueueDepth:
    if row is None:
        return QueueDepth(0, 0, 0)
    return QueueDepth(row["total"] - row["in_flight"] - row["dead"], row["in_flight"], row["dead"])


def _receive_dead(db: sqlite3.Connection, limit: int, *, now: int, until: int) -> tuple[Delivery, ...]:
    rows = db.execute(
        "SELECT * FROM messages WHERE dead = 1 AND visible_at <= ? ORDER BY visible_at LIMIT ?", (now, limit)
    ).fetchall()
    return tuple(_hand_out(db, Priority(row["priority"]), row, until) for row in rows)
