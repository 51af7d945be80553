"""The delivery log through the API, and replay; the rules behind it have their tests in tests/jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from handlers.api import schemas
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.event_outbox import WebhookDelivery
from sync_core.jobs.ports.webhook_sender import Answer
from tests.api.live import LiveService

URL = "https://1.1.1.1/hook"
ROUTE = "/api/v1/webhooks/deliveries"


@pytest.fixture
def batch_id(idle: LiveService) -> str:
    made = idle.uploaded(notification_webhook=URL)
    assert idle.start(made).status_code == 200
    return made


def listed(idle: LiveService, batch_id: str) -> list[dict]:
    answer = idle.http.get(ROUTE, params={"batch_id": batch_id})
    assert answer.status_code == 200, answer.text
    return answer.json()["deliveries"]


def stored(idle: LiveService, batch_id: str) -> WebhookDelivery:
    (delivery,) = idle.run(idle.backend.event_outbox.deliveries(batch_id))
    return delivery


def attempt(idle: LiveService, batch_id: str, answer: Answer) -> None:
    """Record an attempt, as a sender would."""
    now, outbox = datetime.now(UTC), idle.backend.event_outbox
    claimed = idle.run(outbox.save(rules.claim(stored(idle, batch_id), now=now, lease_seconds=60)))
    policy = rules.RetryPolicy()
    after = rules.after_answer(claimed, answer, began_at=now - timedelta(seconds=2), now=now, policy=policy, luck=0.0)
    assert idle.run(outbox.save(after))


def replay(idle: LiveService, event_id: str, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return idle.http.post(f"{ROUTE}/{event_id}/replay", headers=named)


def test_a_new_event_is_pending(idle: LiveService, batch_id: str):
    (delivery,) = listed(idle, batch_id)
    assert delivery["event_id"] == f"evt_{batch_id.removeprefix('batch_')}_started"
    assert (delivery["event_type"], delivery["status"], delivery["webhook_url"]) == ("batch.started", "pending", URL)
    assert (delivery["attempts"], delivery["replays"], delivery["reason"]) == ([], 0, None)
    assert delivery["next_attempt_at"] == delivery["created_at"]
    assert delivery["payload"]["data"]["batch_id"] == batch_id


def test_the_log_says_what_was_answered_when_and_what_comes_next(idle: LiveService, batch_id: str):
    attempt(idle, batch_id, Answer(503, "It answered 503 Service Unavailable.", retry_after_seconds=3600.0))
    (delivery,) = listed(idle, batch_id)
    (tried,) = delivery["attempts"]
    assert (tried["status_code"], tried["error"]) == (503, "It answered 503 Service Unavailable.")
    assert tried["seconds"] == pytest.approx(2.0)
    next_at, began_at = (datetime.fromisoformat(text) for text in (delivery["next_attempt_at"], tried["began_at"]))
    assert 3600 <= (next_at - began_at).total_seconds() <= 3604
    one = idle.http.get(f"{ROUTE}/{delivery['event_id']}").json()
    assert one["delivery"] == delivery


def test_what_was_disabled_can_be_replayed(idle: LiveService, batch_id: str):
    attempt(idle, batch_id, Answer(410, "It answered 410 Gone."))
    (gone,) = listed(idle, batch_id)
    assert (gone["status"], gone["next_attempt_at"]) == ("disabled", None)
    assert "410" in gone["reason"]
    answer = replay(idle, gone["event_id"])
    assert answer.status_code == 202
    again = answer.json()["delivery"]
    assert (again["status"], again["replays"], again["attempts"]) == ("pending", 1, gone["attempts"])
    assert listed(idle, batch_id) == [again]


def test_a_replay_with_the_same_key_is_done_once(idle: LiveService, batch_id: str):
    event_id = listed(idle, batch_id)[0]["event_id"]
    for _ in range(2):
        assert replay(idle, event_id, Idempotency_Key="k1").status_code == 202
    assert stored(idle, batch_id).replays == 1
    assert replay(idle, event_id, Idempotency_Key="k2").json()["delivery"]["replays"] == 2


def test_what_is_being_sent_is_not_replayed(idle: LiveService, batch_id: str):
    delivery = stored(idle, batch_id)
    claimed = rules.claim(delivery, now=datetime.now(UTC), lease_seconds=60)
    assert idle.run(idle.backend.event_outbox.save(claimed))
    answer = replay(idle, delivery.event.event_id)
    assert (answer.status_code, answer.json()["error_code"]) == (409, "WRONG_STATE")


def test_a_batch_without_a_webhook_has_an_empty_log(idle: LiveService):
    made = idle.uploaded()
    idle.start(made)
    assert listed(idle, made) == []


@pytest.mark.parametrize("batch_id", ["batch_20250828_140600_00000000", "nonsense", "", "batch_1'; --"])
def test_a_batch_that_is_not_there_is_404(idle: LiveService, batch_id: str):
    assert idle.http.get(ROUTE, params={"batch_id": batch_id}).status_code == 404


def test_a_list_needs_a_batch(idle: LiveService):
    assert idle.http.get(ROUTE).status_code == 400


@pytest.mark.parametrize("event_id", ["evt_20250828_140600_00000000_started", "nonsense", "evt_", "%00", "évt"])
def test_an_event_that_is_not_there_is_404(idle: LiveService, event_id: str):
    assert idle.http.get(f"{ROUTE}/{event_id}").status_code == 404
    assert replay(idle, event_id).status_code == 404


def test_a_one_pair_analysis_tells_its_analysis_id(idle: LiveService):
    pair = {"master_file": "/mnt/data/a.wav", "dub_file": "/mnt/data/b.wav", "notification_webhook": URL}
    analysis = idle.http.post("/api/v1/analysis/sync", json=pair).json()
    (delivery,) = listed(idle, analysis["batch_id"])
    assert delivery["payload"]["data"]["analysis_id"] == analysis["analysis_id"]


def test_the_description_names_every_event_and_tells_what_is_in_it(idle: LiveService, batch_id: str):
    told = idle.http.get("/openapi.json").json()["webhooks"]
    assert set(told) == {"batch.started", "batch.completed", "batch.failed", "batch.cancelled"}
    payload = stored(idle, batch_id).event.payload
    described = schemas.WebhookEvent.model_validate(payload)
    assert described.model_dump(mode="json") == payload
