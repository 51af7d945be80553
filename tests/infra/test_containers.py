"""The images' entry points, run without Docker: by the words of the Dockerfiles, as their user, on a read-only root."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from handlers.settings import ApiSettings, WebhookSettings, WorkerSettings
from tests.fakes.processes import wait_until
from tests.infra.images import ROOT, Container, Image, confinement, instructions, stages

API, WORKER = ROOT / "infra" / "api.Dockerfile", ROOT / "infra" / "worker.Dockerfile"
COMPOSE = ROOT / "infra" / "compose.yaml"
FINAL = {"api": (API, "1"), **{name: (WORKER, name) for name in ("worker", "emulator", "worker-with-models")}}
SETTINGS = {f"SYNC_{name.upper()}" for of in (ApiSettings, WebhookSettings, WorkerSettings) for name in of.model_fields}


def image_of(name: str) -> Image:
    path, stage = FINAL[name]
    return stages(path)[stage]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give the only folder that the containers of a test may write to."""
    made = Path(
        tempfile.mkdtemp(prefix="sync-analyzer-container-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None)
    )
    for name in ("data", "tmp"):
        (made / name).mkdir()
    if confinement():
        for path in (made, *made.iterdir()):
            os.chown(path, 10001, 10001)
    yield made
    shutil.rmtree(made, ignore_errors=True)


def container(name: str, folder: Path) -> Container:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return Container(image_of(name), folder, probe.getsockname()[1])


def test_the_api_answers_and_says_so(folder: Path):
    api = container("api", folder)
    assert api.health() == 1, "nothing runs yet"
    with api.run() as process:
        wait_until(lambda: api.health() == 0)
        answer = httpx.get(f"http://127.0.0.1:{api.port}/api/v1/health").json()
        assert (answer["status"], answer["backend"]) == ("degraded", "embedded")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0, api.log()
    assert api.health() == 1


def test_a_worker_announces_itself_until_it_is_told_to_stop(folder: Path):
    worker = container("worker", folder)
    assert worker.health() == 1
    with worker.run() as process:
        wait_until(lambda: worker.health() == 0, within_seconds=60)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0, worker.log()
    assert worker.health() == 1
    assert list((folder / "tmp").iterdir()) == [], "what was decoded is left behind"


def test_a_worker_that_cannot_reach_its_storage_is_not_started_anew(folder: Path):
    urls = '{"high":"http://127.0.0.1:9/h","normal":"http://127.0.0.1:9/n","low":"http://127.0.0.1:9/l"}'
    storage = {"SYNC_AWS_TABLE": "t", "SYNC_AWS_BUCKET": "b", "SYNC_AWS_QUEUES": urls, "SYNC_AWS_DEAD_LETTERS": urls}
    aws = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "x", "AWS_ACCESS_KEY_ID": "x"}
    nowhere = {"SYNC_BACKEND": "aws", **storage, **aws, "AWS_SECRET_ACCESS_KEY": "x"}
    assert container("worker", folder).health(**nowhere) == 0


def test_the_emulator_brings_the_whole_service_along(folder: Path):
    emulator = container("emulator", folder)
    with emulator.run():
        wait_until(lambda: emulator.health() == 0, within_seconds=90)
        url = f"http://127.0.0.1:{emulator.port}/api/v1/health"
        wait_until(lambda: httpx.get(url).json()["status"] == "healthy", within_seconds=60)
        assert httpx.get(url).json()["backend"] == "aws"


@pytest.mark.parametrize("name", FINAL)
def test_an_image_is_pinned_unprivileged_and_watched(name: str):
    image = image_of(name)
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", image.base)
    assert int(image.user.partition(":")[0]) > 0
    assert image.health
    assert image.entrypoint == ["sync-analyzer"]
    named = {variable for variable in image.environment if variable.startswith("SYNC_")}
    assert named
    assert named <= SETTINGS


@pytest.mark.parametrize("path", [API, WORKER], ids=lambda path: path.name)
def test_what_is_copied_into_an_image_is_sent_to_the_build(path: Path):
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        word
        for name, text in instructions(path)
        if name == "COPY" and "--from" not in text
        for word in text.split()[:-1]
    }
    assert {"handlers", "sync_core"} <= copied <= kept
    assert [name for name in kept if not (ROOT / name).exists()] == []


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_services_are_built_from_the_images_and_confined(services: dict[str, dict[str, Any]]):
    assert set(services) == {"api", "worker", "emulator"}
    for name, service in services.items():
        path, stage = FINAL[name]
        assert (ROOT / "infra" / service["build"]["context"]).resolve() == ROOT
        assert service["build"]["dockerfile"] == str(path.relative_to(ROOT))
        assert service["build"].get("target", "1") == stage
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "privileged" not in service
        written = {text.split(":")[1] for text in service["volumes"] if not text.endswith(":ro")} | set(
            service.get("tmpfs", ())
        )
        assert written <= set(image_of(name).volumes)


def test_services_are_told_nothing_that_nobody_reads(services: dict[str, dict[str, Any]]):
    named = {variable for service in services.values() for variable in service.get("environment", {})}
    assert named <= SETTINGS


def test_workers_have_time_to_release_their_items(services: dict[str, dict[str, Any]]):
    for name in ("worker", "emulator"):
        grace = float(services[name]["environment"]["SYNC_GRACE_SECONDS"])
        assert grace < float(services[name]["stop_grace_period"].removesuffix("s"))
        (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
        assert "gpu" in device["capabilities"]


def test_only_this_machine_reaches_the_service(services: dict[str, dict[str, Any]]):
    ports = [port for service in services.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
