"""One pair: with and without waiting."""

from __future__ import annotations

import pytest

from tests.api.live import LiveService, rows

SYNC = "/api/v1/analysis/sync"
PAIR = {"master_file": "/mnt/data/m.wav", "dub_file": "/mnt/data/d.wav"}


def pair(dub: str, **more: object) -> dict:
    return {**PAIR, "dub_file": f"/mnt/data/{dub}.wav", **more}


def test_pair_with_waiting_answers_with_the_result(service: LiveService):
    answer = service.http.post(SYNC, json={**PAIR, "wait_seconds": 20, "description": "x", "tags": ["a"]})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["status"], body["result"]["offset_seconds"]) == ("completed", -15.023)
    assert (body["description"], body["tags"], body["methods"]) == ("x", ["a"], ["mfcc", "onset", "spectral"])
    assert body["result"]["analysis_id"] == body["analysis_id"]
    again = service.http.get(body["status_url"]).json()
    assert again["result"] == body["result"]


def test_pair_without_waiting_is_accepted(service: LiveService):
    answer = service.http.post(SYNC, json=PAIR)
    assert answer.status_code == 202
    body = answer.json()
    assert answer.headers["location"] == body["status_url"] == f"/api/v1/analysis/{body['analysis_id']}"
    assert body["batch_id"] == f"batch_{body['analysis_id']}"
    service.wait(body["batch_id"])
    assert service.http.get(body["status_url"]).json()["status"] == "completed"


def test_pair_that_is_not_done_in_time_is_408_and_goes_on(own: LiveService):
    answer = own.http.post(SYNC, json=pair("held", wait_seconds=0.2))
    assert answer.status_code == 408
    body = answer.json()
    assert (body["success"], body["error_code"]) == (False, "ANALYSIS_NOT_DONE")
    (detail,) = body["details"]
    assert detail["analysis_id"] in body["error"]
    running = own.http.get(detail["status_url"]).json()
    assert running["status"] == "processing"
    own.analyzer.let_go()
    own.wait(running["batch_id"])
    assert own.http.get(detail["status_url"]).json()["status"] == "completed"


def test_pair_that_fails_says_why(service: LiveService):
    body = service.http.post(SYNC, json=pair("missing", wait_seconds=20)).json()
    assert (body["status"], body["result"], body["error_code"]) == ("failed", None, "MEDIA_NOT_FOUND")
    assert "missing.wav" in body["error"]


def test_pair_can_be_cancelled(own: LiveService):
    body = own.http.post(SYNC, json=pair("held")).json()
    assert own.cancel(body["batch_id"]).status_code == 200
    own.wait(body["batch_id"], "cancelled")
    assert own.http.get(body["status_url"]).json()["status"] == "cancelled"


def test_item_of_a_batch_is_found_by_its_analysis_id(service: LiveService):
    batch_id = service.finished(rows("one", "two"))
    for item in service.batch(batch_id, "results").json()["results"]:
        found = service.http.get(f"/api/v1/analysis/{item['result']['analysis_id']}").json()
        assert (found["batch_id"], found["item_id"]) == (batch_id, item["item_id"])
        assert found["result"] == item["result"]


@pytest.mark.parametrize("analysis_id", ["20250828_140605_00000000", "20250828_140605", "x", "%2e%2e"])
def test_analysis_that_does_not_exist_is_404(idle: LiveService, analysis_id):
    answer = idle.http.get(f"/api/v1/analysis/{analysis_id}")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ({"dub_file": None}, "INVALID_REQUEST", "dub_file"),
        ({"dub_file": ""}, "INVALID_MEDIA_REFERENCE", "missing"),
        ({"dub_file": "/mnt/data/../../etc/passwd"}, "PATH_NOT_ALLOWED", "/etc/passwd"),
        ({"master_file": "/mnt/data2/a.wav"}, "PATH_NOT_ALLOWED", "/mnt/data2/a.wav"),
        ({"master_file": "s3://other/a.wav"}, "PATH_NOT_ALLOWED", "other"),
        ({"master_file": "https://example.com/a.wav"}, "PATH_NOT_ALLOWED", "https"),
        ({"master_file": "gopher://example.com/a.wav"}, "INVALID_MEDIA_REFERENCE", "gopher"),
        ({"methods": ["magic"]}, "INVALID_REQUEST", "methods"),
        ({"methods": "mfcc"}, "INVALID_REQUEST", "methods"),
        ({"ai_model": "gpt"}, "INVALID_REQUEST", "ai_model"),
        ({"wait_seconds": -1}, "INVALID_REQUEST", "wait_seconds"),
        ({"wait_seconds": 1e9}, "INVALID_REQUEST", "300"),
        ({"notification_webhook": "http://127.0.0.1/"}, "INVALID_WEBHOOK", "127.0.0.1"),
        ({"dub": "/mnt/data/d.wav"}, "INVALID_REQUEST", "dub"),
    ],
)
def test_bad_pair_is_refused_by_name(idle: LiveService, change, code, named):
    answer = idle.http.post(SYNC, json={**PAIR, **change})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == code
    assert named in answer.json()["error"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wait_seconds", "NaN"),
        ("wait_seconds", "Infinity"),
        ("wait_seconds", "1" + "0" * 400),
        ("wait_seconds", "1" * 5000),
        ("description", '"\\ud800"'),
        ("tags", "[" * 100_000),
    ],
)
def test_values_that_json_lets_through_but_nobody_can_mean_are_refused(idle: LiveService, field, value):
    text = f'{{"master_file": "/mnt/data/m", "dub_file": "/mnt/data/d", "{field}": {value}}}'
    answer = idle.http.post(SYNC, content=text, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_REQUEST"
