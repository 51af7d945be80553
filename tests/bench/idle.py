"""What the service costs while nothing happens, and how soon an idle worker takes up an item."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from handlers.cli.client import ApiClient
from sync_core.backends.embedded.open import open_backend
from sync_core.domain.batch import Item
from tests.bench.processes import cpu_seconds, tree_pss_bytes
from tests.bench.report import Figure, Section, at_most
from tests.bench.service import Service, serving, write_pairs

SETTLE_SECONDS = 10.0
IDLE_SECONDS = 30.0
TRIALS = 20
_HOW = (
    f"`sync-analyzer serve` (API, one worker of two slots) on a fresh data folder: CPU time of the process tree over "
    f"{IDLE_SECONDS:.0f} s without requests; then {TRIALS} batches of one item, each after a pause of 1 to 2 s, from "
    f"sending the start request until the worker holds the item's lease."
)


def measure() -> Section:
    """Start the service, let it settle, and watch it."""
    with TemporaryDirectory(prefix="sync-bench-") as name, serving(Path(name), workers=2) as service:
        time.sleep(SETTLE_SECONDS)
        percent, memory = _idle_cpu_percent(service), tree_pss_bytes(service.process.pid)
        pickups_ms = [1000 * seconds for seconds in _pickups_seconds(service, Path(name))]
    return Section("Idle service", _HOW, tuple(_figures(percent, memory, pickups_ms)))


def _idle_cpu_percent(service: Service) -> float:
    before, began = cpu_seconds(service.process.pid), time.perf_counter()
    time.sleep(IDLE_SECONDS)
    return 100 * (cpu_seconds(service.process.pid) - before) / (time.perf_counter() - began)


def _pickups_seconds(service: Service, folder: Path) -> list[float]:
    csv_path = write_pairs(folder / "one.csv", 1)
    rng = random.Random(1)
    with ApiClient(service.url) as client:
        return [_pickup_seconds(client, folder, csv_path, rng.uniform(1, 2)) for _ in range(TRIALS)]


def _pickup_seconds(client: ApiClient, folder: Path, csv_path: Path, pause_seconds: float) -> float:
    """Enqueue one item, whose files don't exist, and tell how long it took until its attempt began."""
    batch_id = client.upload(csv_path, {})["batch_id"]
    time.sleep(pause_seconds)
    asked_at = time.time()
    client.start(batch_id, {})
    while client.status(batch_id)["status"] == "processing":
        time.sleep(0.05)
    item = asyncio.run(_first_item(folder / "data", batch_id))
    assert item.started_at is not None
    return item.started_at.timestamp() - asked_at


async def _first_item(data_dir: Path, batch_id: str) -> Item:
    backend = open_backend(data_dir)
    try:
        (item,) = await backend.batch_store.items(batch_id, limit=1)
    finally:
        await backend.close()
    return item


def _figures(percent: float, memory_bytes: int, pickups_ms: list[float]) -> Iterator[Figure]:
    yield at_most("CPU while idle", percent, 1.0, "% of a core")
    median = f" (the longest; median {statistics.median(pickups_ms):.0f} ms)"
    yield at_most("start request to worker's lease", max(pickups_ms), 250, "ms", detail=median)
    yield Figure("memory of all processes, shared pages counted once", f"{memory_bytes / 1e6:.0f} MB")
