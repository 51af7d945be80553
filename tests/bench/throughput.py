"""How fast a large batch goes through the service when the analysis itself takes no time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from handlers.cli.client import ApiClient
from tests.bench.processes import PeakMemory, cpu_seconds, running
from tests.bench.report import Figure, Section, at_least, at_most
from tests.bench.service import Service, serving, wait_for_workers, write_pairs
from tests.bench.status_probe import EVERY_SECONDS, Latencies, probing

ITEMS = 10_000
WORKERS = 1
SLOTS = 32
LIMIT_SECONDS = 300.0
_HOW = (
    f"A batch of {ITEMS} items through the API (`sync-analyzer serve --workers 0`) and {WORKERS} worker process(es) of "
    f"{SLOTS} slots, on the embedded back end, with an analyzer that answers at once. The clock runs from the upload "
    f"to the last byte of the results as JSON and as CSV. Meanwhile a client asks for the batch's status every "
    f"{EVERY_SECONDS * 1000:.0f} ms; latencies are the client's."
)


@dataclass
class Phases:
    """Seconds since the start at which each phase ended."""

    uploaded: float = 0.0
    finished: float = 0.0
    exported: float = 0.0


def measure() -> Section:
    """Run the batch once, on a fresh data folder."""
    with TemporaryDirectory(prefix="sync-bench-") as name, _service(Path(name)) as (service, worker_pids):
        csv_path = write_pairs(Path(name) / "batch.csv", ITEMS)
        with PeakMemory(service.process.pid, whole_tree=False, every_seconds=0.25) as memory:
            phases, latencies = _run(service, csv_path)
        cpu = cpu_seconds(service.process.pid), sum(map(cpu_seconds, worker_pids))
    return Section("Throughput of the service", _HOW, tuple(_figures(phases, latencies, memory.peak_bytes, cpu)))


@contextlib.contextmanager
def _service(folder: Path) -> Iterator[tuple[Service, list[int]]]:
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(serving(folder, workers=0))
        environment = {**service.environment, "SYNC_SLOTS": str(SLOTS)}
        workers = [
            stack.enter_context(running(["-m", "tests.bench.null_worker"], log=service.log, **environment))
            for _ in range(WORKERS)
        ]
        wait_for_workers(service, WORKERS)
        yield service, [worker.pid for worker in workers]


def _run(service: Service, csv_path: Path) -> tuple[Phases, Latencies]:
    phases, began = Phases(), time.perf_counter()
    with ApiClient(service.url) as client:
        batch_id = client.upload(csv_path, {})["batch_id"]
        phases.uploaded = time.perf_counter() - began
        with probing(f"{service.url}/api/v1/analysis/batch/{batch_id}/status") as latencies:
            client.start(batch_id, {"parallel_jobs": 64})
            _wait(client, batch_id)
            phases.finished = time.perf_counter() - began
            results = client.results(batch_id)
            lines = client.results_csv(batch_id).count("\n")
            phases.exported = time.perf_counter() - began
    assert len(results["results"]) == ITEMS, "results are missing"
    assert lines == ITEMS + 1, "rows are missing"
    return phases, latencies


def _wait(client: ApiClient, batch_id: str) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while (status := client.status(batch_id))["status"] == "processing":
        if time.monotonic() > end:
            raise TimeoutError(f"after {LIMIT_SECONDS:.0f} s the batch is at {status['progress']} %")
        time.sleep(0.1)
    assert status["items_completed"] == ITEMS, f"items have failed: {status}"


def _figures(phases: Phases, latencies: Latencies, rss_bytes: int, cpu: tuple[float, float]) -> Iterator[Figure]:
    detail = (
        f" (upload {phases.uploaded:.1f} s, work {phases.finished - phases.uploaded:.1f} s, "
        f"export {phases.exported - phases.finished:.1f} s)"
    )
    yield at_least(
        "items uploaded, started, finished and exported", ITEMS / phases.exported, 300, "items/s", detail=detail
    )
    asked = (
        f" (of {len(latencies.seconds)}; median {latencies.quantile_ms(0.5):.1f}, most {latencies.quantile_ms(1):.1f})"
    )
    yield at_most("status, 99th percentile", latencies.quantile_ms(0.99), 20, "ms", detail=asked)
    yield at_most("resident memory of the API process", rss_bytes / 1e6, 200, "MB")
    yield Figure("CPU time, start-up included", f"API {cpu[0]:.1f} s, workers {cpu[1]:.1f} s")
