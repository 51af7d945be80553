"""How soon a job of 500 dropped files has become a batch that has started."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Batch
from tests.bench.report import Figure, Section, at_most
from tests.bench.service import serving

TRIALS = 10
MASTERS = 100
LANGUAGES = ("de", "fr", "it", "es")
LIMIT_SECONDS = 30.0
LINGER_SECONDS = 3.0
_OBJECTS = MASTERS * (1 + len(LANGUAGES))
_HOW = (
    f"`sync-analyzer serve` (API alone) watches a folder on a disk. {TRIALS} jobs of {_OBJECTS} small files arrive one "
    f"after the other, each file written twice and all in random order, then `_READY`, also twice. The clock runs from "
    f"the last write until the start that is stored with the batch."
)


def measure() -> Section:
    """Drop the jobs, and see what became of each."""
    with TemporaryDirectory(prefix="sync-bench-") as name, serving(Path(name), workers=0):
        data_dir, rng = Path(name) / "data", random.Random(1)
        seconds = [_start_seconds(data_dir, number, rng) for number in range(TRIALS)]
        time.sleep(LINGER_SECONDS)
        batches = _batches(data_dir)
    return Section("Drop folder", _HOW, tuple(_figures(seconds, batches)))


def _start_seconds(data_dir: Path, number: int, rng: random.Random) -> float:
    """Drop a job; tells how long after its last event its batch was started."""
    last_event_at = _drop(data_dir / "drop" / f"job {number}", rng)
    end = time.monotonic() + LIMIT_SECONDS
    while len(started := [batch.started_at for batch in _batches(data_dir) if batch.started_at]) <= number:
        if time.monotonic() > end:
            raise TimeoutError(f"job {number} was not started within {LIMIT_SECONDS:.0f} s")
        time.sleep(0.1)
    return max(started).timestamp() - last_event_at


def _drop(folder: Path, rng: random.Random) -> float:
    folder.mkdir(parents=True)
    names = [f"film {n}.master.mov" for n in range(MASTERS)]
    names += [f"film {n}.dub.{language}.wav" for n in range(MASTERS) for language in LANGUAGES]
    arrivals = names * 2
    rng.shuffle(arrivals)
    for name in (*arrivals, "_READY", "_READY"):
        (folder / name).write_text("" if name == "_READY" else f"{folder.name}: {name}")
    return time.time()


def _batches(data_dir: Path) -> tuple[Batch, ...]:
    async def read() -> tuple[Batch, ...]:
        backend = open_backend(data_dir)
        try:
            return (await backend.batch_store.list_batches(limit=1000)).batches
        finally:
            await backend.close()

    return asyncio.run(read())


def _figures(seconds: list[float], batches: tuple[Batch, ...]) -> Iterator[Figure]:
    detail = f" (the longest of {TRIALS}; median {statistics.median(seconds):.2f} s)"
    yield at_most("last event of a job to the start of its batch", max(seconds), 2, "s", detail=detail)
    items = {batch.counters.total for batch in batches}
    as_wanted = len(batches) == TRIALS and items == {MASTERS * len(LANGUAGES)}
    yield Figure("batches", f"{len(batches)} of {sorted(items)} items", f"{TRIALS} of [400] items", as_wanted)
