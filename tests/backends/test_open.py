"""Opening the embedded back end: a fresh folder, a used one, and those that it must refuse."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from sync_core.backends.embedded import schema
from sync_core.backends.embedded.open import EmbeddedBackend, open_backend
from sync_core.backends.embedded.schema import VERSION
from sync_core.domain.batch import Priority
from sync_core.domain.errors import ConfigurationError
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.event_outbox import DeliveryStatus
from sync_core.jobs.ports.work_queue import Message

ROOT = Path(__file__).parents[2]
OPEN_AND_SEND = """
import asyncio, sys
from pathlib import Path
from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Priority
from sync_core.jobs.ports.work_queue import Message

async def main():
    backend = open_backend(Path(sys.argv[1]))
    await backend.work_queue.send([Message("batch_a", int(sys.argv[2]), Priority.NORMAL)])
    await backend.close()

asyncio.run(main())
"""


async def waiting(backend: EmbeddedBackend) -> int:
    return (await backend.work_queue.depth())[Priority.NORMAL].waiting


async def test_what_was_stored_is_there_when_it_is_opened_again(data_dir: Path) -> None:
    for count in range(3):
        backend: Backend = open_backend(data_dir / "deep" / "er")
        assert (await backend.work_queue.depth())[Priority.NORMAL].waiting == count
        await backend.work_queue.send([Message("batch_a", count, Priority.NORMAL)])
        await backend.close()


async def test_it_is_durable(data_dir: Path) -> None:
    backend = open_backend(data_dir)
    modes = await backend.database.write(
        lambda db: [db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    )
    await backend.close()
    assert modes == ["wal", 2]


def test_many_may_open_a_fresh_folder_at_once(data_dir: Path) -> None:
    async def open_and_send(number: int) -> None:
        backend = open_backend(data_dir)
        await backend.work_queue.send([Message("batch_a", number, Priority.NORMAL)])
        await backend.close()

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: asyncio.run(open_and_send(number)), range(12)))
    assert asyncio.run(_count(data_dir)) == 12


def test_many_processes_may_open_a_fresh_folder_at_once(data_dir: Path) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN_AND_SEND, str(data_dir), str(n)], cwd=ROOT) for n in range(4)
    ]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert asyncio.run(_count(data_dir)) == 4


async def _count(data_dir: Path) -> int:
    backend = open_backend(data_dir)
    try:
        return await waiting(backend)
    finally:
        await backend.close()


async def test_a_newer_schema_is_refused_and_left_alone(data_dir: Path) -> None:
    await open_backend(data_dir).close()
    with closing(sqlite3.connect(data_dir / "sync.db")) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(ConfigurationError, match="newer version"):
        open_backend(data_dir)
    with closing(sqlite3.connect(data_dir / "sync.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (VERSION + 1,)


def test_a_file_that_is_no_database_is_refused_and_left_alone(data_dir: Path) -> None:
    content = b"somebody's spreadsheet " * 500
    (data_dir / "sync.db").write_bytes(content)
    with pytest.raises(ConfigurationError, match="SYNC_DATA_DIR"):
        open_backend(data_dir)
    assert (data_dir / "sync.db").read_bytes() == content


def test_a_folder_that_cannot_be_made_is_refused(data_dir: Path) -> None:
    (data_dir / "file").write_text("not a folder")
    for folder in (data_dir / "file", data_dir / "file" / "below", Path("/proc/sync-analyzer")):
        with pytest.raises(ConfigurationError, match=r"cannot be written.*SYNC_DATA_DIR"):
            open_backend(folder)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_that_may_not_be_written_is_refused(data_dir: Path) -> None:
    await open_backend(data_dir / "data").close()
    (data_dir / "data").chmod(0o500)
    (data_dir / "data" / "sync.db.gate").unlink(missing_ok=True)
    with pytest.raises(ConfigurationError, match="cannot be written"):
        open_backend(data_dir / "data")
    (data_dir / "data").chmod(0o700)


def open_files() -> int:
    return psutil.Process().num_fds()


async def test_opening_leaves_nothing_behind_when_closed(data_dir: Path) -> None:
    before = open_files()
    for _ in range(5):
        backend = open_backend(data_dir)
        await waiting(backend)
        await backend.work_queue.receive((Priority.NORMAL,), visibility_seconds=1.0, wait_seconds=0.01)
        await backend.close()
    assert open_files() <= before + 1


OLD_EVENT = """
INSERT INTO events (event_id, event_type, batch_id, webhook_url, created_at, payload)
VALUES (?, 'batch.started', 'batch_20250828_140600_0a1b2c3d', ?, 0, '{}')
"""


async def test_a_database_of_the_first_version_is_brought_up_to_date(data_dir: Path) -> None:
    """What was recorded before webhooks were delivered is not sent out of the blue, and can be replayed."""
    with closing(sqlite3.connect(data_dir / "sync.db", isolation_level=None)) as connection:
        connection.executescript(f"{schema._STEPS[0]} PRAGMA user_version = 1;")
        connection.execute(OLD_EVENT, ("evt_told", "https://a.example/"))
        connection.execute(OLD_EVENT, ("evt_told_nobody", None))
    backend: Backend = open_backend(data_dir)
    (delivery,) = await backend.event_outbox.deliveries("batch_20250828_140600_0a1b2c3d")
    due = await backend.event_outbox.due(now=datetime.now(UTC), limit=10)
    replayed = await backend.event_outbox.save(rules.replay(delivery, now=datetime.now(UTC)))
    await backend.close()
    assert (delivery.event.event_id, delivery.status, due) == ("evt_told", DeliveryStatus.UNDELIVERABLE, ())
    assert replayed is not None
    with closing(sqlite3.connect(data_dir / "sync.db")) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
