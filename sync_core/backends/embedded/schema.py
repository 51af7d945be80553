"""The tables. Times are whole microseconds since 1970, UTC; statuses and priorities are their names."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sync_core.backends.embedded.connection import connect
from sync_core.backends.embedded.turnstile import Turnstile
from sync_core.domain.errors import ConfigurationError

# The items of a batch are consecutive rows from `first_item` on, so that an item is found by its number alone and a
# page of items is one range. `due_at` is when the message of an item in flight is overdue; it is null before the item
# is claimed and after its end, so its index holds the items in flight and nothing else.
# `queue_groups` holds one row per batch with messages; the group with the lowest turn is served first.
_TABLES = """
CREATE TABLE batches (
    batch_no          INTEGER PRIMARY KEY,
    batch_id          TEXT NOT NULL UNIQUE,
    first_item        INTEGER NOT NULL,
    status            TEXT NOT NULL,
    total             INTEGER NOT NULL,
    next_item         INTEGER NOT NULL,
    in_flight         INTEGER NOT NULL,
    completed         INTEGER NOT NULL,
    failed            INTEGER NOT NULL,
    cancelled         INTEGER NOT NULL,
    confidence_sum    REAL NOT NULL,
    confidence_count  INTEGER NOT NULL,
    parallel_jobs     INTEGER NOT NULL,
    priority          TEXT NOT NULL,
    created_at        INTEGER NOT NULL,
    started_at        INTEGER,
    ended_at          INTEGER,
    description       TEXT NOT NULL,
    webhook_url       TEXT,
    retry_of          TEXT,
    single            INTEGER NOT NULL
);
CREATE INDEX batches_by_time ON batches (created_at, batch_no) WHERE single = 0;

CREATE TABLE items (
    item_no      INTEGER PRIMARY KEY,
    batch_no     INTEGER NOT NULL,
    request      TEXT NOT NULL,
    status       TEXT NOT NULL DEFAULT 'pending',
    attempt      INTEGER NOT NULL DEFAULT 0,
    fence        INTEGER NOT NULL DEFAULT 0,
    leased_by    TEXT,
    lease_until  INTEGER,
    due_at       INTEGER,
    resends      INTEGER NOT NULL DEFAULT 0,
    stage        TEXT,
    percent      REAL,
    analysis_id  TEXT,
    started_at   INTEGER,
    ended_at     INTEGER,
    next_item    INTEGER,
    report_key   TEXT,
    error_code   TEXT,
    error        TEXT,
    result       TEXT
);
CREATE INDEX items_in_flight ON items (due_at, batch_no) WHERE due_at IS NOT NULL;
CREATE INDEX items_by_analysis ON items (analysis_id) WHERE analysis_id IS NOT NULL;

CREATE TABLE events (
    event_no     INTEGER PRIMARY KEY,
    event_id     TEXT NOT NULL UNIQUE,
    event_type   TEXT NOT NULL,
    batch_id     TEXT NOT NULL,
    webhook_url  TEXT,
    created_at   INTEGER NOT NULL,
    payload      TEXT NOT NULL
);
CREATE INDEX events_by_batch ON events (batch_id);

CREATE TABLE messages (
    message_no     INTEGER PRIMARY KEY,
    priority       TEXT NOT NULL,
    batch_id       TEXT NOT NULL,
    item_index     INTEGER NOT NULL,
    visible_at     INTEGER NOT NULL,
    receive_count  INTEGER NOT NULL DEFAULT 0,
    receipt        TEXT,
    dead           INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX messages_alive ON messages (priority, batch_id, visible_at, item_index) WHERE dead = 0;
CREATE INDEX messages_dead ON messages (visible_at) WHERE dead = 1;

CREATE TABLE queue_groups (
    priority  TEXT NOT NULL,
    batch_id  TEXT NOT NULL,
    turn      INTEGER NOT NULL,
    PRIMARY KEY (priority, batch_id)
) WITHOUT ROWID;
CREATE INDEX queue_groups_by_turn ON queue_groups (priority, turn);

CREATE TABLE workers (
    worker_id   TEXT PRIMARY KEY,
    expires_at  INTEGER NOT NULL,
    info        TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE idempotency_keys (
    key          TEXT PRIMARY KEY,
    fingerprint  TEXT NOT NULL,
    resource_id  TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) WITHOUT ROWID;
"""


# Where the delivery of an event is. `due_at` is null where nothing is to be sent, and otherwise when; while somebody
# sends it, it is the end of the claim. What was recorded before there were deliveries is not sent out of the blue.
_DELIVERIES = """
ALTER TABLE events ADD COLUMN status TEXT;
ALTER TABLE events ADD COLUMN due_at INTEGER;
ALTER TABLE events ADD COLUMN claimed_until INTEGER;
ALTER TABLE events ADD COLUMN version INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN replays INTEGER NOT NULL DEFAULT 0;
ALTER TABLE events ADD COLUMN attempts TEXT NOT NULL DEFAULT '[]';
ALTER TABLE events ADD COLUMN reason TEXT;
CREATE INDEX events_due ON events (due_at, event_no) WHERE due_at IS NOT NULL;
UPDATE events SET status = 'undeliverable', reason = 'Recorded before webhooks were delivered. Replay the event.'
    WHERE webhook_url IS NOT NULL;
"""

_TRACES = "ALTER TABLE messages ADD COLUMN trace TEXT;"

_STEPS = (_TABLES, _DELIVERIES, _TRACES)
"""What brings a database from each version to the next."""

VERSION = len(_STEPS)


def prepare(path: Path, *, busy_seconds: float) -> None:
    """Create the database or bring it up to date; does nothing to one that is.

    Raises
    ------
    ConfigurationError
        If the file is of a newer version of this system.
    """
    with (
        closing(Turnstile(path)) as turnstile,
        turnstile.entered(within_seconds=busy_seconds),  # switching to WAL does not wait for others by itself
        closing(connect(path, busy_seconds=busy_seconds)) as connection,
    ):
        found = _version(connection, path)
        if found < VERSION:
            connection.execute("PRAGMA journal_mode = WAL")
            steps = "".join(_STEPS[found:])
            connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;")
        connection.executescript("BEGIN IMMEDIATE; ROLLBACK;")  # fails here, not later, if it cannot be written


def _version(connection: sqlite3.Connection, path: Path) -> int:
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if found > VERSION:
        raise ConfigurationError(
            f"{path} was written by a newer version of this system (schema {found}, known here: {VERSION}). "
            "Install that version, or set another SYNC_DATA_DIR."
        )
    return found
