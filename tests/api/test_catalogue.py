"""Health, methods, the front page and the API's own documentation."""

from __future__ import annotations

import re

from tests.api.live import LiveService


def test_health_of_a_working_service(service: LiveService):
    body = service.http.get("/api/v1/health").json()
    assert (body["success"], body["status"], body["reason"], body["backend"]) == (True, "healthy", None, "embedded")
    assert body["methods"] == ["mfcc", "onset", "spectral"]
    assert body["version"] == "1.0.0"
    (worker,) = body["workers"]
    assert (worker["slots"], worker["device"]) == (4, "cpu")
    assert set(body["queue_depth"]) == {"high", "normal", "low"}


def test_health_without_a_worker_is_degraded(idle: LiveService):
    answer = idle.http.get("/api/v1/health")
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["methods"]) == ("degraded", [])
    assert "worker" in answer.json()["reason"]


def test_health_counts_what_waits(own: LiveService):
    batch_id = own.uploaded("master_file,dub_file\n" + "/mnt/data/a,/mnt/data/held\n" * 10, priority="high")
    own.start(batch_id, parallel_jobs=10)
    while (high := own.http.get("/api/v1/health").json()["queue_depth"]["high"])["in_flight"] < 4:
        pass
    assert high == {"waiting": 6, "in_flight": 4, "dead": 0}


def test_methods_speak_for_the_workers(service: LiveService, idle: LiveService):
    found = {method["name"]: method for method in service.http.get("/api/v1/analysis/methods").json()["methods"]}
    assert list(found) == ["mfcc", "onset", "spectral", "ai"]
    assert found["mfcc"]["available"] is True
    assert found["mfcc"]["reason"] is None
    assert found["ai"]["available"] is False
    assert found["ai"]["reason"] == "No AI model is installed."
    assert {model["name"] for model in found["ai"]["models"]} == {"wav2vec2", "yamnet", "spectral"}
    none = idle.http.get("/api/v1/analysis/methods").json()["methods"]
    assert all(method["available"] is False and method["reason"] for method in none)


def test_front_page_leads_to_the_documentation(idle: LiveService):
    answer = idle.http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_documentation_needs_no_other_host(idle: LiveService):
    page = idle.http.get("/docs")
    assert page.status_code == 200
    assert "://" not in page.text
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) == 3
    assert [idle.http.get(file).status_code for file in files] == [200, 200, 200]


def test_every_example_body_in_the_documentation_works(idle: LiveService):
    schema = idle.http.get("/openapi.json").json()
    examples = {
        name: part["examples"][0]
        for name, part in schema["components"]["schemas"].items()
        if name in ("StartRequest", "PairRequest")
    }
    assert idle.start(idle.uploaded(), **examples["StartRequest"]).status_code == 200
    pair = {**examples["PairRequest"], "wait_seconds": None}
    assert idle.http.post("/api/v1/analysis/sync", json=pair).status_code == 202


def test_documentation_names_every_route_and_the_shape_of_errors(idle: LiveService):
    paths = idle.http.get("/openapi.json").json()["paths"]
    assert {(method, path) for path, methods in paths.items() for method in methods} == {
        ("post", "/api/v1/analysis/batch/upload-csv"),
        ("get", "/api/v1/analysis/batch"),
        ("post", "/api/v1/analysis/batch/{batch_id}/start"),
        ("get", "/api/v1/analysis/batch/{batch_id}/status"),
        ("get", "/api/v1/analysis/batch/{batch_id}/results"),
        ("post", "/api/v1/analysis/batch/{batch_id}/retry-failed"),
        ("delete", "/api/v1/analysis/batch/{batch_id}"),
        ("post", "/api/v1/analysis/sync"),
        ("get", "/api/v1/analysis/{analysis_id}"),
        ("get", "/api/v1/analysis/methods"),
        ("get", "/api/v1/health"),
        ("get", "/api/v1/reports/{batch_id}.json"),
        ("get", "/api/v1/reports/{batch_id}.csv"),
        ("get", "/api/v1/webhooks/deliveries"),
        ("get", "/api/v1/webhooks/deliveries/{event_id}"),
        ("post", "/api/v1/webhooks/deliveries/{event_id}/replay"),
        ("get", "/metrics"),
    }
    for methods in paths.values():
        for operation in methods.values():
            assert "422" not in operation["responses"]
            assert "ErrorResponse" in str(operation["responses"]["default"])
