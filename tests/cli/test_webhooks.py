"""Webhooks of a real service: sent by a process beside it, signed, again after a crash, and at no batch's cost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sync_core.jobs.webhook_secrets import new_secret
from tests.cli.conftest import Run
from tests.cli.test_service import Service
from tests.fakes.processes import started, wait_until
from tests.fakes.receiver import HANG, OK, Receiver, Reply, receiving_in_thread

SECRETS = (new_secret(), new_secret())
DELIVERIES = "/api/v1/webhooks/deliveries"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving_in_thread() as opened:
        yield opened


@contextmanager
def serving(studio: Path, folder: Path, *args: str) -> Iterator[Service]:
    log = folder / "serve.log"
    settings = {
        "SYNC_DATA_DIR": folder / "store",
        "SYNC_WEBHOOK_SECRETS": " ".join(SECRETS),
        "SYNC_WEBHOOK_ALLOW_PRIVATE": "true",
        "SYNC_WEBHOOK_TIMEOUT_SECONDS": 1,
    }
    command = ("serve", "--port", "0", "--workers", "2", *args)
    with started("handlers.cli.main", *command, cwd=studio, log=log, **settings) as process:
        url = wait_until(lambda: re.search(r"(http://127\.0\.0\.1:\d+)/docs", log.read_text()), within_seconds=90)[1]
        running = Service(process, url, log)
        wait_until(running.has_worker, within_seconds=90)
        yield running


@pytest.fixture
def service(studio: Path, data_dir: Path) -> Iterator[Service]:
    with serving(studio, data_dir) as running:
        yield running


def deliveries(service: Service, batch_id: str) -> list[dict]:
    return httpx.get(f"{service.url}{DELIVERIES}", params={"batch_id": batch_id}).json()["deliveries"]


def statuses(service: Service, batch_id: str) -> list[str]:
    return [delivery["status"] for delivery in deliveries(service, batch_id)]


def start(service: Service, studio: Path, receiver: Receiver) -> str:
    batch_id = service.upload([f"{studio}/master.wav,{studio}/late.wav"])
    options = {"notification_webhook": receiver.url}
    assert httpx.post(f"{service.url}/api/v1/analysis/batch/{batch_id}/start", json=options).status_code == 200
    return batch_id


def test_a_batch_is_told_of_when_it_starts_and_when_it_ends(service: Service, studio: Path, receiver: Receiver):
    is_told(service, studio, receiver)


def test_a_batch_on_an_emulator_of_aws_is_told_of_too(studio: Path, data_dir: Path, receiver: Receiver):
    with serving(studio, data_dir, "--backend", "aws", "--local") as service:
        is_told(service, studio, receiver)


def is_told(service: Service, studio: Path, receiver: Receiver) -> None:
    batch_id = start(service, studio, receiver)
    wait_until(lambda: statuses(service, batch_id) == ["delivered"] * 2, within_seconds=60)
    told = {request.event_id: request.verified(SECRETS[0]) for request in receiver.requests}
    assert [request.verified(SECRETS[1]) for request in receiver.requests] == list(told.values())
    stamp = batch_id.removeprefix("batch_")
    assert {name: of["type"] for name, of in told.items()} == {
        f"evt_{stamp}_started": "batch.started",
        f"evt_{stamp}_completed": "batch.completed",
    }
    assert told[f"evt_{stamp}_completed"]["data"]["items_completed"] == 1
    assert SECRETS[0] not in service.log.read_text()


def test_a_sender_that_is_killed_while_it_sends_is_started_again_and_sends_the_same_id(
    service: Service, studio: Path, receiver: Receiver
):
    receiver.will(HANG, OK)
    batch_id = start(service, studio, receiver)
    wait_until(lambda: receiver.requests)
    sender = service.sender()
    sender.kill()
    wait_until(lambda: service.status(batch_id)["status"] == "completed", within_seconds=60)
    wait_until(lambda: statuses(service, batch_id) == ["delivered"] * 2, within_seconds=120)  # its claim runs out first
    stamp = batch_id.removeprefix("batch_")
    ids = [request.event_id for request in receiver.requests]
    assert ids.count(ids[0]) == 2
    assert set(ids) == {f"evt_{stamp}_started", f"evt_{stamp}_completed"}
    assert service.sender().pid != sender.pid


def test_a_dead_receiver_never_fails_a_batch_and_the_log_says_what_happens(
    service: Service, studio: Path, receiver: Receiver
):
    receiver.will(Reply(500))
    batch_id = start(service, studio, receiver)
    wait_until(lambda: service.status(batch_id)["status"] == "completed", within_seconds=60)
    wait_until(lambda: all(delivery["attempts"] for delivery in deliveries(service, batch_id)))
    for delivery in deliveries(service, batch_id):
        assert (delivery["status"], delivery["attempts"][0]["status_code"]) == ("pending", 500)
    receiver.will(OK)
    for delivery in deliveries(service, batch_id):
        wait_until(lambda event_id=delivery["event_id"]: replayed(service, event_id))
    wait_until(lambda: statuses(service, batch_id) == ["delivered"] * 2)


def replayed(service: Service, event_id: str) -> bool:
    return httpx.post(f"{service.url}{DELIVERIES}/{event_id}/replay").status_code == 202


def test_a_secret_is_printed_to_be_used(run: Run):
    ended = run("webhooks", "secret")
    assert ended.returncode == 0
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=\n", ended.stdout)


def test_a_secret_that_cannot_be_used_is_told_in_one_sentence_and_not_repeated(run: Run):
    ended = run("serve", "--port", "0", SYNC_WEBHOOK_SECRETS=f"{SECRETS[0]} hunter2")
    assert ended.returncode == 2
    assert "SYNC_WEBHOOK_SECRETS: Webhook secret 2 of 2" in ended.stderr
    assert "hunter2" not in ended.stderr
    assert "Traceback" not in ended.stderr
