"""SIGKILL at any moment: nothing is lost, nothing is counted twice, and whoever comes next can go on."""

from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Batch, BatchStatus, Counters, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.start import StartBatch
from tests.fakes.invariants import Watchman
from tests.fakes.workshop import request

ROOT = Path(__file__).parents[2]
ITEMS = 240
WORKERS = 3
MOST_SECONDS = 60.0

HOLD_THE_TURN = """
import sys, time
from pathlib import Path
from sync_core.backends.embedded.turnstile import Turnstile

with Turnstile(Path(sys.argv[1])).entered(within_seconds=5):
    print("in", flush=True)
    time.sleep(60)
"""
WRITE_PAIRS = """
import asyncio, sys
from pathlib import Path
from sync_core.backends.embedded.database import Database

async def main():
    database = Database(Path(sys.argv[1]))

    async def pairs(name):
        for number in range(100_000):
            def write(db):
                db.execute("INSERT INTO pairs VALUES (?, ?)", (f"{name}.{number}", "left"))
                db.execute("INSERT INTO pairs VALUES (?, ?)", (f"{name}.{number}", "right"))
            await database.write(write)
            print(f"{name}.{number}", flush=True)

    await asyncio.gather(*(pairs(f"{sys.argv[2]}.{task}") for task in range(8)))

asyncio.run(main())
"""


class Workers:
    """Some worker processes, of which one or another is killed and replaced."""

    def __init__(self, data_dir: Path, notes: Path) -> None:
        self._data_dir, self._notes = data_dir, notes
        self._born = 0
        self.killed = 0
        self._running = [self._new() for _ in range(WORKERS)]

    def _new(self) -> subprocess.Popen[bytes]:
        self._born += 1
        arguments = (str(self._data_dir), f"worker-{self._born}", str(self._notes))
        return subprocess.Popen([sys.executable, "-m", "tests.backends.mortal_worker", *arguments], cwd=ROOT)

    def kill_one(self) -> None:
        number = random.randrange(WORKERS)
        if self._running[number].poll() is None:
            self._running[number].send_signal(signal.SIGKILL)
            self.killed += 1
        self._running[number].wait()
        self._running[number] = self._new()

    def kill_all(self) -> None:
        for process in self._running:
            process.kill()
            process.wait()


@contextmanager
def workers(data_dir: Path, notes: Path) -> Iterator[Workers]:
    running = Workers(data_dir, notes)
    try:
        yield running
    finally:
        running.kill_all()


async def start_a_batch(data_dir: Path) -> str:
    backend, clock = open_backend(data_dir), SystemClock()
    now = clock.now()
    batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(ITEMS), 2, Priority.NORMAL, now)
    await backend.batch_store.create(batch, [request(index) for index in range(ITEMS)])
    start = StartBatch(backend.batch_store, backend.work_queue, backend.idempotency_keys, clock)
    await start.start(batch.batch_id, StartOptions(parallel_jobs=12))
    await backend.close()
    return batch.batch_id


async def look_at(data_dir: Path, batch_id: str) -> tuple[Batch, int]:
    """Give the batch, and how many messages are left."""
    backend = open_backend(data_dir)
    batch, depth = await backend.batch_store.get(batch_id), await backend.work_queue.depth()
    await backend.close()
    return batch, sum(each.waiting + each.in_flight + each.dead for each in depth.values())


def test_workers_that_are_killed_again_and_again_finish_the_batch(data_dir: Path) -> None:
    notes = data_dir / "notes"
    batch_id = asyncio.run(start_a_batch(data_dir))
    with workers(data_dir, notes) as crew, closing(Watchman(data_dir)) as watchman:
        batch, left = asyncio.run(look_at(data_dir, batch_id))
        until = time.monotonic() + MOST_SECONDS
        while (not batch.status.is_terminal or left) and time.monotonic() < until:
            time.sleep(random.uniform(0.1, 0.6))
            if not batch.status.is_terminal:
                crew.kill_one()
            watchman.look()
            batch, left = asyncio.run(look_at(data_dir, batch_id))
    assert crew.killed >= 5
    assert (batch.status, batch.counters.completed, left) == (BatchStatus.COMPLETED, ITEMS, 0)
    saved = Counter(notes.read_text().split("\n")[:-1])
    assert not [line for line, times in saved.items() if times > 1], "an end was acknowledged twice"


def test_what_was_acknowledged_is_there_and_whole_after_a_kill(data_dir: Path) -> None:
    path = data_dir / "sync.db"
    asyncio.run(open_backend(data_dir).close())
    acknowledged: set[str] = set()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE pairs (name TEXT, side TEXT)")
    for round_number in range(6):
        acknowledged |= _write_pairs_until_killed(path, round_number)
        with closing(sqlite3.connect(path)) as db:
            sides = Counter(name for (name,) in db.execute("SELECT name FROM pairs"))
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert set(sides.values()) <= {2}, "half a write survived"
        assert acknowledged <= set(sides), "an acknowledged write was lost"
    assert len(acknowledged) > 100


def _write_pairs_until_killed(path: Path, round_number: int) -> set[str]:
    command = [sys.executable, "-c", WRITE_PAIRS, str(path)]
    processes = [
        subprocess.Popen([*command, f"{round_number}{name}"], cwd=ROOT, stdout=subprocess.PIPE) for name in "ab"
    ]
    for process in processes:
        assert process.stdout
        process.stdout.read(20)  # it is at work
    time.sleep(random.uniform(0.02, 0.3))
    for process in processes:
        process.kill()
    lines = [process.communicate()[0].decode().split("\n")[1:-1] for process in processes]
    return {line for each in lines for line in each}


def test_a_killed_process_gives_up_its_turn(data_dir: Path) -> None:
    asyncio.run(open_backend(data_dir).close())
    command = [sys.executable, "-c", HOLD_THE_TURN, str(data_dir / "sync.db")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"in\n"
        holder.kill()
    asyncio.run(asyncio.wait_for(start_a_batch(data_dir), 10))
