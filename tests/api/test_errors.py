"""Errors have one shape, a request id, and tell nothing of the insides."""

from __future__ import annotations

import json
import logging
import re
import socket
import sys
from http.client import HTTPResponse

import pytest
import requests

from sync_core.domain.errors import LeaseLost, StorageUnavailable
from tests.api.live import SAMPLE, LiveService

UPLOAD = "/api/v1/analysis/batch/upload-csv"


def assert_is_error(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body)[:3] == ["success", "error", "error_code"]
    assert (body["success"], body["error_code"]) == (False, code)
    assert body["error"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", body["timestamp"])
    assert body["request_id"] == answer.headers["x-request-id"]
    return body


@pytest.mark.parametrize(
    "path", ["/nothing", "/api/v1/", "/api/v2/health", "/api/v1/analysis", "/api/v1/reports/x.pdf"]
)
def test_unknown_route(idle: LiveService, path):
    body = assert_is_error(idle.http.get(path), 404, "NOT_FOUND")
    assert path in body["error"]


def test_known_route_with_another_method(idle: LiveService):
    answer = idle.http.put("/api/v1/health")
    assert_is_error(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET"
    assert_is_error(idle.http.get(UPLOAD), 405, "METHOD_NOT_ALLOWED")
    answer = idle.http.get("/api/v1/analysis/sync")
    assert_is_error(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "POST"


def test_body_that_is_no_json(idle: LiveService):
    batch_id = idle.uploaded()
    url = f"/api/v1/analysis/batch/{batch_id}/start"
    body = assert_is_error(
        idle.http.post(url, content="{x", headers={"Content-Type": "application/json"}), 400, "INVALID_REQUEST"
    )
    assert "JSON" in body["error"]
    body = assert_is_error(idle.http.post(url, data={"parallel_jobs": "2"}), 400, "INVALID_REQUEST")
    assert "Content-Type: application/json" in body["error"]
    assert idle.status(batch_id)["status"] == "uploaded"


def test_every_wrong_field_is_listed(idle: LiveService):
    answer = idle.start(idle.uploaded(), parallel_jobs=0, priority="urgent", other=1)
    details = assert_is_error(answer, 400, "INVALID_REQUEST")["details"]
    assert {detail["field"] for detail in details} == {"parallel_jobs", "priority", "other"}
    assert all(detail["reason"] for detail in details)


@pytest.mark.parametrize("given", ["abc-123", "A.b_c:9", "x" * 128])
def test_request_id_is_echoed(idle: LiveService, given):
    assert idle.http.get("/api/v1/health", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "<script>", "é"])
def test_bad_request_id_is_replaced(idle: LiveService, given):
    answer = idle.http.get("/nothing", headers={"X-Request-ID": given.encode("latin-1")})
    assert re.fullmatch(r"[0-9a-f]{32}", assert_is_error(answer, 404, "NOT_FOUND")["request_id"])


def test_oversize_upload_is_refused_with_the_limit(idle: LiveService):
    body = assert_is_error(idle.upload("x" * 300_000), 413, "TOO_LARGE")
    assert "200,000 bytes" in body["error"]
    body = assert_is_error(idle.upload("x" * 210_000), 413, "TOO_LARGE")
    assert "200,000" in body["error"]


def test_clients_see_the_refusal_of_an_upload_that_they_are_still_sending(idle: LiveService):
    answer = requests.post(idle.url + UPLOAD, files={"file": ("big.csv", b"x" * 20_000_000)}, timeout=20)
    assert_is_error(answer, 413, "TOO_LARGE")


def test_oversize_upload_without_a_length_is_cut_off(idle: LiveService):
    """A client that never stops sending is refused while it sends."""
    head = (
        f"POST {UPLOAD} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: multipart/form-data; boundary=B\r\n\r\n"
    )
    part = b'--B\r\nContent-Disposition: form-data; name="file"; filename="f.csv"\r\n\r\n'
    chunk = b"x" * 10_000
    with socket.create_connection(("127.0.0.1", idle.port), timeout=20) as connection:
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(part), part))
        for _ in range(30):
            connection.sendall(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        answer = HTTPResponse(connection)
        answer.begin()
        assert answer.status == 413
        assert json.load(answer)["error_code"] == "TOO_LARGE"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (StorageUnavailable("The database is locked."), 503, "STORAGE_UNAVAILABLE"),
        (RuntimeError("secret inside"), 500, "INTERNAL_ERROR"),
        (LeaseLost("secret inside"), 500, "INTERNAL_ERROR"),
    ],
)
def test_failing_storage_and_bugs(idle: LiveService, monkeypatch, error, status, code):
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(sys.modules["sync_core.backends.embedded.batch_store"].EmbeddedBatchStore, "get", fail)
    answer = idle.batch("batch_20250828_140600_a1b2c3d4", "status")
    body = assert_is_error(answer, status, code)
    assert "secret" not in answer.text
    assert (status == 503) == ("retry-after" in answer.headers)
    assert status == 503 or body["request_id"] in body["error"]


def test_each_request_is_logged_with_its_fields(idle: LiveService, caplog):
    with caplog.at_level(logging.INFO, logger="sync_analyzer.access"):
        for path, request_id in (("nothing%0Ahere", "log-1"), ("health", "log-2")):
            idle.http.get(f"/api/v1/{path}", headers={"X-Request-ID": request_id})
        # a line is written after its answer, also those of earlier requests
        while len(lines := [line for line in caplog.records if getattr(line, "request_id", "").startswith("log-")]) < 2:
            pass
    assert [(line.method, line.path, line.status) for line in lines] == [
        ("GET", "/api/v1/nothing%0Ahere", 404),
        ("GET", "/api/v1/health", 200),
    ]
    assert all(line.ms >= 0 for line in lines)


def test_answer_that_breaks_in_the_middle_is_not_a_whole_one(own: LiveService, monkeypatch):
    """A client must not take half of the results for all of them."""
    batch_id = own.uploaded("master_file,dub_file\n" + "/mnt/data/a,/mnt/data/b\n" * 1_000)
    kind = sys.modules["sync_core.backends.embedded.batch_store"].EmbeddedBatchStore
    real = kind.items

    async def fail_late(self, batch_id, *, start=0, limit):
        if start >= 700:
            raise StorageUnavailable("The disk is gone.")
        return await real(self, batch_id, start=start, limit=limit)

    monkeypatch.setattr(kind, "items", fail_late)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(f"{own.url}/api/v1/analysis/batch/{batch_id}/results", timeout=20)


def test_nothing_is_stored_of_a_request_that_was_refused(own: LiveService):
    own.upload("master_file,dub_file\n/etc/a,/etc/b\n")
    own.upload(SAMPLE, priority="urgent")
    own.http.post("/api/v1/analysis/sync", json={"master_file": "/etc/a", "dub_file": "/etc/b"})
    assert own.http.get("/api/v1/analysis/batch").json()["batches"] == []
    assert sum(depth["waiting"] for depth in own.http.get("/api/v1/health").json()["queue_depth"].values()) == 0
