"""Database: many callers, one commit; what one of them does wrong is its own affair."""

from __future__ import annotations

import asyncio
import fcntl
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from sync_core.backends.embedded.database import Database
from sync_core.backends.embedded.schema import prepare
from sync_core.domain.errors import NotFound, StorageUnavailable

BUSY_SECONDS = 0.3


@pytest.fixture
def path(data_dir: Path) -> Path:
    path = data_dir / "sync.db"
    prepare(path, busy_seconds=BUSY_SECONDS)
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE notes (text TEXT UNIQUE)")
    return path


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    opened = Database(path, busy_seconds=BUSY_SECONDS)
    yield opened
    await opened.close()


def note(text: str) -> Callable[[sqlite3.Connection], str]:
    def write(db: sqlite3.Connection) -> str:
        db.execute("INSERT INTO notes VALUES (?)", (text,))
        return text

    return write


def note_then(text: str, error: Exception) -> Callable[[sqlite3.Connection], None]:
    def write(db: sqlite3.Connection) -> None:
        note(text)(db)
        raise error

    return write


async def notes(database: Database) -> list[str]:
    return await database.read(lambda db: [text for (text,) in db.execute("SELECT text FROM notes ORDER BY rowid")])


@contextmanager
def writer_held_up(database: Database) -> Iterator[None]:
    """Keep the writer busy, so that what is asked for meanwhile becomes one group."""
    reached, go_on = threading.Event(), threading.Event()
    holding = asyncio.ensure_future(database.write(lambda _: (reached.set(), go_on.wait(10))))
    holding.add_done_callback(lambda _: None)
    try:
        yield
    finally:
        go_on.set()


@contextmanager
def turn_kept(path: Path) -> Iterator[None]:
    with Path(f"{path}.room").open("r+") as room:
        fcntl.flock(room, fcntl.LOCK_EX)
        yield


async def together(database: Database, *works: Callable[[sqlite3.Connection], object]) -> list[object]:
    """Run the works in one commit, and give what each returned or raised."""
    with writer_held_up(database):
        await asyncio.sleep(0.01)
        tasks = [asyncio.ensure_future(database.write(work)) for work in works]
        await asyncio.sleep(0.01)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_written_is_read(database: Database) -> None:
    assert await database.write(note("a")) == "a"
    assert await notes(database) == ["a"]


async def test_a_group_commits_once(database: Database) -> None:
    statements: list[str] = []
    await database.write(lambda db: db.set_trace_callback(statements.append))
    await together(database, *(note(str(n)) for n in range(20)))
    assert len(await notes(database)) == 20
    assert statements.count("COMMIT") <= 3  # that of the tracer, of the one that held up, and one for all twenty


async def test_one_that_raises_is_undone_alone(database: Database) -> None:
    error = NotFound("nothing there")
    outcomes = await together(database, note("a"), note_then("b", error), note("c"), note("a"), note("d"))
    assert outcomes[0::2] == ["a", "c", "d"]
    assert outcomes[1] is error
    assert isinstance(outcomes[3], sqlite3.IntegrityError)
    assert await notes(database) == ["a", "c", "d"]


async def test_when_the_transaction_is_lost_everybody_hears_of_it(database: Database) -> None:
    outcomes = await together(database, note("a"), lambda db: db.execute("ROLLBACK"), note("b"))
    assert [type(outcome) for outcome in outcomes] == [StorageUnavailable] * 3
    assert await notes(database) == []
    await database.write(note("c"))
    assert await notes(database) == ["c"]


async def test_a_bug_in_a_group_does_not_end_the_writer(database: Database) -> None:
    def lose_and_raise(db: sqlite3.Connection) -> None:
        db.execute("ROLLBACK")
        raise ZeroDivisionError

    outcomes = await together(database, note("a"), lose_and_raise)
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 2
    assert await database.write(note("b")) == "b"


async def test_a_full_disk_says_so_and_is_survived(database: Database) -> None:
    def grow(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE big (content BLOB)")
        db.executemany("INSERT INTO big VALUES (zeroblob(50000))", [()] * 50)

    await database.write(lambda db: db.execute("PRAGMA max_page_count = 60").fetchall())
    with pytest.raises(StorageUnavailable, match=r"the disk is full; free some space"):
        await database.write(grow)
    assert await notes(database) == []
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 100000").fetchall())
    await database.write(note("a"))
    assert await notes(database) == ["a"]


async def test_reads_do_not_wait_for_a_write(database: Database) -> None:
    with writer_held_up(database):
        await asyncio.sleep(0.01)
        async with asyncio.timeout(5):
            assert await notes(database) == []


async def test_a_read_sees_one_moment(database: Database) -> None:
    def count_twice(db: sqlite3.Connection) -> tuple[int, int]:
        first = db.execute("SELECT COUNT(*) FROM notes").fetchone()[0]
        first_read.set()
        written.wait(10)
        return first, db.execute("SELECT COUNT(*) FROM notes").fetchone()[0]

    first_read, written = threading.Event(), threading.Event()
    reading = asyncio.ensure_future(database.read(count_twice))
    await asyncio.to_thread(first_read.wait, 10)
    await database.write(note("a"))
    written.set()
    assert await reading == (0, 0)


async def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(StorageUnavailable):
        await database.read(note("a"))


async def test_a_caller_who_gives_up_harms_nobody(database: Database) -> None:
    with writer_held_up(database):
        await asyncio.sleep(0.01)
        leaving = asyncio.ensure_future(database.write(note("a")))
        staying = asyncio.ensure_future(database.write(note("b")))
        await asyncio.sleep(0)
        leaving.cancel()
    assert await staying == "b"
    assert leaving.cancelled()
    assert "b" in await notes(database)


def test_callers_may_live_on_several_loops(path: Path) -> None:
    database = Database(path, busy_seconds=BUSY_SECONDS)

    async def write_some(name: str) -> None:
        await asyncio.gather(*(database.write(note(f"{name}{n}")) for n in range(20)))

    threads = [threading.Thread(target=asyncio.run, args=(write_some(name),)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asyncio.run(notes(database))) == 80
    asyncio.run(database.close())


def test_a_loop_that_was_closed_does_not_stop_the_writer(path: Path) -> None:
    database = Database(path, busy_seconds=BUSY_SECONDS)
    go_on = threading.Event()

    async def leave_without_waiting() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(database.write(lambda _: go_on.wait(10)), 0.01)

    asyncio.run(leave_without_waiting())
    go_on.set()
    assert asyncio.run(database.write(note("a"))) == "a"
    asyncio.run(database.close())


async def test_closing_does_what_was_asked_for_and_then_refuses(path: Path) -> None:
    database = Database(path, busy_seconds=BUSY_SECONDS)
    writes = [asyncio.ensure_future(database.write(note(str(n)))) for n in range(50)]
    await asyncio.sleep(0)
    await database.close()
    await database.close()
    assert len(await asyncio.gather(*writes)) == 50
    with pytest.raises(StorageUnavailable, match="closed"):
        await database.write(note("late"))
    with pytest.raises(StorageUnavailable, match="closed"):
        await database.read(lambda _: None)


async def test_a_process_that_keeps_the_lock_makes_it_busy_and_not_stuck(database: Database, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="another process"):
            await database.write(note("a"))
        other.execute("ROLLBACK")
    assert await database.write(note("b")) == "b"


async def test_a_process_that_keeps_its_turn_makes_it_busy_and_not_stuck(database: Database, path: Path) -> None:
    with turn_kept(path), pytest.raises(StorageUnavailable, match="another process"):
        await database.write(note("a"))
    assert await database.write(note("b")) == "b"


async def test_the_version_changes_with_the_commits_of_anybody(database: Database, path: Path) -> None:
    first = database.version()
    assert database.version() == first
    await database.write(note("a"))
    second = database.version()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("INSERT INTO notes VALUES ('b')")
    assert len({first, second, database.version()}) == 3
