"""`serve` as one command: the API and its worker live and die together, and the client commands talk to them."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cli.conftest import Ended, Run
from tests.fakes.processes import all_gone, descendants, started, wait_until

BATCHES = "/api/v1/analysis/batch"


class Service:
    """A running `serve`."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def has_worker(self) -> bool:
        """Tell whether a worker has registered."""
        health = answer_of(f"{self.url}/api/v1/health")
        return bool(health and health["workers"])

    def worker(self) -> psutil.Process:
        """Give the worker's process, once it has one."""
        return wait_until(lambda: self._child("worker"))

    def sender(self) -> psutil.Process:
        """Give the process that delivers webhooks, once there is one."""
        return wait_until(lambda: self._child("webhooks"))

    def _child(self, command: str) -> psutil.Process | None:
        children = psutil.Process(self.process.pid).children()
        return next((child for child in children if command in child.cmdline()), None)

    def upload(self, rows: list[str]) -> str:
        content = "\n".join(["master_file,dub_file", *rows])
        answer = httpx.post(f"{self.url}{BATCHES}/upload-csv", files={"file": ("pairs.csv", content)})
        assert answer.status_code == 200, answer.text
        return answer.json()["batch_id"]

    def start(self, batch_id: str, parallel_jobs: int = 2) -> None:
        answer = httpx.post(f"{self.url}{BATCHES}/{batch_id}/start", json={"parallel_jobs": parallel_jobs})
        assert answer.status_code == 200, answer.text

    def status(self, batch_id: str) -> dict:
        return httpx.get(f"{self.url}{BATCHES}/{batch_id}/status").json()

    def family(self) -> list[psutil.Process]:
        return [psutil.Process(self.process.pid), *descendants(self.process.pid)]


@pytest.fixture
def service(studio: Path, data_dir: Path) -> Iterator[Service]:
    log = data_dir / "serve.log"
    settings = {"SYNC_DATA_DIR": data_dir / "store", "SYNC_LEASE_SECONDS": 3, "SYNC_GRACE_SECONDS": 5}
    with started("handlers.cli.main", "serve", "--port", "0", "--workers", "2", cwd=studio, log=log, **settings) as it:
        url = wait_until(lambda: re.search(r"(http://127\.0\.0\.1:\d+)/docs", log.read_text()))[1]
        running = Service(it, url, log)
        wait_until(running.has_worker)
        yield running


def test_a_batch_is_submitted_watched_fetched_and_cancelled(run: Run, studio: Path, service: Service) -> None:
    def batch(*args: str) -> Ended:
        return run("batch", *args, SYNC_API_URL=service.url)

    (studio / "pairs.csv").write_text("master_file,dub_file,description\nmaster.wav,late.wav,Late one\n")
    batch_id = batch("submit", "pairs.csv").stdout.strip()
    assert re.fullmatch(r"batch_\d{8}_\d{6}_[0-9a-f]{8}", batch_id)

    watched = batch("watch", batch_id)
    assert watched.returncode == 0, watched.stderr
    assert "dub is 0.500 s late" in watched.stdout

    status = json.loads(batch("status", batch_id).stdout)
    assert (status["status"], status["items_completed"]) == ("completed", 1)

    (result,) = json.loads(batch("results", batch_id).stdout)["results"]
    assert result["result"]["offset_seconds"] == pytest.approx(-0.5, abs=0.001)
    assert batch("results", batch_id, "-o", "fetched.csv").returncode == 0
    assert "Late one" in (studio / "fetched.csv").read_text()

    too_late = batch("cancel", batch_id)
    assert (too_late.returncode, "completed" in too_late.stderr) == (2, True)
    waiting = batch("submit", "pairs.csv", "--no-start").stdout.strip()
    assert batch("cancel", waiting).returncode == 0
    assert json.loads(batch("status", waiting).stdout)["status"] == "cancelled"

    unknown = batch("status", "batch_20250828_140600_ffffffff")
    assert (unknown.returncode, "Traceback" in unknown.stderr) == (2, False)


def test_submitting_and_watching_ends_with_1_if_an_item_failed(run: Run, studio: Path, service: Service) -> None:
    (studio / "pairs.csv").write_text("master_file,dub_file\nmaster.wav,late.wav\nmaster.wav,missing.wav\n")
    ended = run("batch", "submit", "pairs.csv", "--watch", SYNC_API_URL=service.url)
    assert ended.returncode == 1, ended.stderr
    assert "MEDIA_NOT_FOUND" in ended.stdout


def test_a_rejected_upload_ends_with_2_and_names_every_bad_row(run: Run, studio: Path, service: Service) -> None:
    (studio / "bad.csv").write_text("master_file,dub_file\n/etc/passwd,late.wav\nmaster.wav,\n")
    ended = run("batch", "submit", "bad.csv", SYNC_API_URL=service.url)
    assert ended.returncode == 2
    assert "line 2, master_file: " in ended.stderr
    assert "line 3, dub_file: " in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_the_api_and_its_worker_in_order(service: Service, number: signal.Signals) -> None:
    family = service.family()
    assert len(family) > 1
    service.process.send_signal(number)
    assert service.process.wait(timeout=20) == 0
    wait_until(lambda: all_gone(family))
    assert "has ended" in service.log.read_text()
    assert "Traceback" not in service.log.read_text()


def test_a_stop_in_the_middle_of_a_batch_loses_nothing(service: Service, studio: Path, data_dir: Path) -> None:
    batch_id = service.upload(["master.wav,late.wav"] * 6)
    service.start(batch_id)
    wait_until(lambda: service.status(batch_id)["items_completed"] >= 1)
    service.process.terminate()
    assert service.process.wait(timeout=30) == 0
    log = data_dir / "again.log"
    settings = {"SYNC_DATA_DIR": data_dir / "store", "SYNC_LEASE_SECONDS": 3}
    with started("handlers.cli.main", "serve", "--port", "0", "--workers", "2", cwd=studio, log=log, **settings) as it:
        url = wait_until(lambda: re.search(r"(http://127\.0\.0\.1:\d+)/docs", log.read_text()))[1]
        again = Service(it, url, log)
        wait_until(again.has_worker)
        wait_until(lambda: again.status(batch_id)["status"] == "completed", within_seconds=60)
        assert again.status(batch_id)["items_completed"] == 6


def test_if_serve_is_killed_its_worker_soon_ends_too(service: Service) -> None:
    family = service.family()
    service.process.kill()
    wait_until(lambda: all_gone(family), within_seconds=20)


def test_a_killed_worker_is_started_again_and_the_batch_completes(service: Service) -> None:
    batch_id = service.upload(["master.wav,late.wav"] * 5)
    service.start(batch_id)
    wait_until(lambda: service.status(batch_id)["items_completed"])
    worker, orphans = service.worker(), descendants(service.worker().pid)
    worker.kill()

    wait_until(lambda: service.status(batch_id)["status"] == "completed", within_seconds=60)

    assert service.status(batch_id)["items_completed"] == 5
    assert service.worker().pid != worker.pid
    wait_until(lambda: all_gone(orphans))


def test_a_port_in_use_is_told_in_one_sentence(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = run("serve", "--port", port)
    assert ended.returncode == 2
    assert f"Cannot listen at 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_workers_0_starts_no_worker(studio: Path, data_dir: Path) -> None:
    log = data_dir / "serve.log"
    args = ("serve", "--port", "0", "--workers", "0")
    with started("handlers.cli.main", *args, cwd=studio, log=log, SYNC_DATA_DIR=data_dir / "store") as process:
        url = wait_until(lambda: re.search(r"(http://127\.0\.0\.1:\d+)/docs", log.read_text()))[1]
        methods = wait_until(lambda: answer_of(f"{url}/api/v1/analysis/methods"))
        (sender,) = wait_until(lambda: descendants(process.pid))
        assert "webhooks" in sender.cmdline()
    assert not any(method["available"] for method in methods["methods"])


def answer_of(url: str) -> dict | None:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(url).json()
    return None
