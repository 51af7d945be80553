"""Open the embedded back end: one folder with a database and the reports."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from sync_core.backends.embedded.batch_store import EmbeddedBatchStore
from sync_core.backends.embedded.connection import storage_error
from sync_core.backends.embedded.database import Database
from sync_core.backends.embedded.event_outbox import EmbeddedEventOutbox
from sync_core.backends.embedded.idempotency_keys import EmbeddedIdempotencyKeys
from sync_core.backends.embedded.report_store import EmbeddedReportStore, flush_folder
from sync_core.backends.embedded.schema import prepare
from sync_core.backends.embedded.work_queue import EmbeddedWorkQueue
from sync_core.backends.embedded.worker_registry import EmbeddedWorkerRegistry
from sync_core.domain.errors import ConfigurationError
from sync_core.jobs.ports.clock import Clock, SystemClock

_BUSY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class EmbeddedBackend:
    """All adapters over one folder; any number of processes may have the same folder open."""

    database: Database
    batch_store: EmbeddedBatchStore
    work_queue: EmbeddedWorkQueue
    report_store: EmbeddedReportStore
    event_outbox: EmbeddedEventOutbox
    worker_registry: EmbeddedWorkerRegistry
    idempotency_keys: EmbeddedIdempotencyKeys

    async def close(self) -> None:
        """Finish what was asked for and close the files."""
        await self.report_store.close()
        await self.database.close()


def open_backend(
    data_dir: Path,
    *,
    clock: Clock = SystemClock(),  # noqa: B008 - has no state
    max_receives: int = 10,
) -> EmbeddedBackend:
    """Open the folder, creating what is not there. Needs no repair after a crash: SQLite undoes what was half done.

    Raises
    ------
    ConfigurationError
        If the folder cannot be written, or its database is none or of a newer version of this system.
    """
    path = data_dir / "sync.db"
    try:
        (data_dir / "reports").mkdir(parents=True, exist_ok=True)
        prepare(path, busy_seconds=_BUSY_SECONDS)
        flush_folder(data_dir)
    except OSError as error:
        raise ConfigurationError(
            f"{data_dir} cannot be written ({error}); set SYNC_DATA_DIR to a folder that can."
        ) from error
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"{storage_error(error, path).message} It is in SYNC_DATA_DIR.") from error
    database = Database(path, busy_seconds=_BUSY_SECONDS)
    return EmbeddedBackend(
        database,
        EmbeddedBatchStore(database),
        EmbeddedWorkQueue(database, clock=clock, max_receives=max_receives),
        EmbeddedReportStore(data_dir / "reports"),
        EmbeddedEventOutbox(database),
        EmbeddedWorkerRegistry(database),
        EmbeddedIdempotencyKeys(database),
    )
