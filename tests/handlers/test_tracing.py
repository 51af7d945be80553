"""Traces: what real processes send to a collector, and that they send nothing where none is named."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.fakes.collector import Collector, attributes, collecting
from tests.fakes.processes import environment, started, wait_until

CALLER = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{CALLER}-00f067aa0ba902b7-01"
SERVER, CONSUMER = 2, 5
PAIRS = [f"/mnt/data/sleep-{n}.wav" for n in range(4)]


@contextmanager
def service(data_dir: Path, **settings: object) -> Iterator[str]:
    """Run API and worker, ended in an orderly way, so that they send what they have; gives the API's address."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ours = {"SYNC_DATA_DIR": data_dir / "data", "SYNC_MEDIA_ROOTS": '["/mnt/data"]', **settings}
    api_options = ("handlers.api.main:app", "--port", str(port), "--log-level", "error")
    url = f"http://127.0.0.1:{port}"
    with (
        started("uvicorn", *api_options, log=data_dir / "log", **ours) as api,
        started("tests.faults.worker_process", log=data_dir / "log", **ours) as worker,
    ):
        wait_until(lambda: is_healthy(url), within_seconds=60)
        yield url
        for process in (worker, api):
            process.terminate()
            process.wait(30)


def is_healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/health").json()["status"] == "healthy"
    except httpx.TransportError:
        return False


def do_a_batch(url: str) -> str:
    rows = "".join(f"/mnt/data/master.wav,{dub}\n" for dub in PAIRS)
    uploaded = httpx.post(
        f"{url}/api/v1/analysis/batch/upload-csv", files={"file": ("b.csv", f"master_file,dub_file\n{rows}")}
    )
    batch = f"{url}/api/v1/analysis/batch/{uploaded.json()['batch_id']}"
    httpx.post(f"{batch}/start", json={"parallel_jobs": 1}, headers={"traceparent": TRACEPARENT}).raise_for_status()
    wait_until(lambda: httpx.get(f"{batch}/status").json()["status"] == "completed", within_seconds=60)
    return uploaded.json()["batch_id"]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Collector, str]:
    with collecting() as collector:
        with service(tmp_path_factory.mktemp("traced"), OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as url:
            batch_id = do_a_batch(url)
        return collector, batch_id


def test_a_request_goes_on_with_its_callers_trace(traced: tuple[Collector, str]):
    collector, _ = traced
    (start,) = [span for span in collector.of_service("sync-analyzer-api") if span.name.endswith("/start")]
    assert (start.kind, start.trace_id.hex()) == (SERVER, CALLER)
    about = attributes(start)
    assert about["http.route"] == "/api/v1/analysis/batch/{batch_id}/start"
    assert about["http.response.status_code"] == 200


def test_each_attempt_is_linked_to_the_request_that_started_its_batch(traced: tuple[Collector, str]):
    collector, batch_id = traced
    attempts = collector.of_service("sync-analyzer-worker")
    assert sorted(attributes(span)["item_id"] for span in attempts) == [f"item_{n:03d}" for n in range(1, 5)]
    for span in attempts:
        about = attributes(span)
        assert (span.name, span.kind) == ("process item", CONSUMER)
        assert (about["batch_id"], about["attempt"], about["outcome"]) == (batch_id, 1, "saved")
        assert [link.trace_id.hex() for link in span.links] == [CALLER], "the link goes from item to item"
        assert span.trace_id.hex() != CALLER, "a large batch would fill the request's trace"


def test_without_a_collector_nothing_that_sends_is_loaded(tmp_path: Path):
    program = "import json, sys, handlers.api.main, handlers.worker; print(json.dumps(list(sys.modules)))"
    told = {name: value for name, value in environment().items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", program], env=told, cwd=tmp_path, capture_output=True, check=True)
    loaded = json.loads(done.stdout)
    assert "handlers.tracing" in loaded
    assert [name for name in loaded if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))] == []


def test_a_collector_that_nothing_can_speak_to_is_told_at_the_start(tmp_path: Path):
    program = (
        "import sys; sys.modules['opentelemetry.sdk.trace'] = None;"
        "from handlers.tracing import traces; traces('api').__enter__()"
    )
    told = environment(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    done = subprocess.run([sys.executable, "-c", program], env=told, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "install" in done.stderr
    assert "sync-analyzer[tracing]" in done.stderr
