"""The real service in processes of its own, on 127.0.0.1 and a temporary folder."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handlers.cli.client import ApiClient
from sync_core.domain.errors import ServiceUnreachable
from tests.bench.processes import running

START_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Service:
    """A running API: its address, its process, the environment that its workers need."""

    url: str
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    log: Path


@contextlib.contextmanager
def serving(folder: Path, *, workers: int, **settings: str) -> Iterator[Service]:
    """Run `sync-analyzer serve` on a fresh data folder; with `workers` 0 the API alone."""
    port = _free_port()
    environment = {
        "SYNC_DATA_DIR": str(folder / "data"),
        "SYNC_MEDIA_ROOTS": json.dumps([str(folder)]),
        "SYNC_LOG_LEVEL": "WARNING",
        **settings,
    }
    log = folder / "service.log"
    arguments = ["-m", "handlers.cli.main", "serve", "--port", str(port), "--workers", str(workers)]
    with running(arguments, log=log, **environment) as process:
        service = Service(f"http://127.0.0.1:{port}", process, environment, log)
        wait_for_workers(service, 1 if workers else 0)
        yield service


def wait_for_workers(service: Service, count: int) -> None:
    """Wait until the API answers and that many workers have registered."""
    end = time.monotonic() + START_SECONDS
    while service.process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(ServiceUnreachable), ApiClient(service.url) as client:
            if len(client.health()["workers"]) >= count:
                return
        time.sleep(0.1)
    raise RuntimeError(f"the service did not come up; its last words:\n{service.log.read_text()[-2000:]}")


def write_pairs(path: Path, count: int) -> Path:
    """Write the CSV file of a batch whose files lie beside it, whether they exist or not."""
    rows = [f"{path.parent}/master_{n}.wav,{path.parent}/dub_{n}.wav,item {n}" for n in range(count)]
    path.write_text("\n".join(["master_file,dub_file,description", *rows, ""]))
    return path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
