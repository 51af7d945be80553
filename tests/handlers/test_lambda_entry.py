"""The API as Lambda runs it: events of API Gateway in, answers out, within API Gateway's limits."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from handlers.api import lambda_entry
from handlers.settings import LambdaSettings
from sync_core.domain.errors import ConfigurationError
from tests.aws_emulators import REGION, emulator, make_resources

CONTEXT = SimpleNamespace(aws_request_id="r", function_name="api", memory_limit_in_mb="512", invoked_function_arn="arn")
SAMPLE = "master_file,dub_file\n/mnt/data/a.wav,/mnt/data/b.wav\n"


@pytest.fixture
def gateway(monkeypatch) -> Iterator[str]:
    """Set the environment of a fresh process; gives the bucket."""
    running = emulator("ministack")
    made = make_resources(running, max_receives=12)
    urls = {str(priority): made.queue_urls[priority] for priority in ("high", "normal", "low")}
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("SYNC_AWS_TABLE", made.table)
    monkeypatch.setenv("SYNC_AWS_BUCKET", made.bucket)
    monkeypatch.setenv("SYNC_AWS_QUEUES", json.dumps(urls))
    monkeypatch.setenv("SYNC_AWS_DEAD_LETTERS", json.dumps(urls))
    monkeypatch.setenv("SYNC_MEDIA_ROOTS", '["/mnt/data"]')
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    lambda_entry._process.cache_clear()
    yield made.bucket
    loop.run_until_complete(lambda_entry._process()[1].close())
    lambda_entry._process.cache_clear()
    loop.close()
    asyncio.set_event_loop(None)


def event(method: str, path: str, body: bytes = b"", **headers: str) -> dict[str, Any]:
    path, _, query = path.partition("?")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": "api.example", **{name.replace("_", "-"): value for name, value in headers.items()}},
        "requestContext": {
            "stage": "$default",
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"},
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def ask(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, dict[str, Any]]:
    answer = lambda_entry.handler(event(method, path, body, **headers), CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])


def upload(text: str) -> tuple[int, dict[str, Any]]:
    request = httpx.Request("POST", "http://api.example", files={"file": ("b.csv", text.encode())})
    return ask(
        "POST",
        "/api/v1/analysis/batch/upload-csv",
        request.read(),
        content_type=request.headers["content-type"],
        content_length=request.headers["content-length"],
    )


def test_a_batch_goes_through_upload_start_and_status(gateway):
    status, uploaded = upload(SAMPLE)
    assert status == 200, uploaded
    batch_id = uploaded["batch_id"]
    assert ask("POST", f"/api/v1/analysis/batch/{batch_id}/start")[0] == 200
    _, shown = ask("GET", f"/api/v1/analysis/batch/{batch_id}/status?include_details=true")
    assert (shown["status"], shown["items_total"], len(shown["items_details"])) == ("processing", 1, 1)


def test_one_process_opens_its_clients_once(gateway):
    ask("GET", "/api/v1/analysis/batch")
    _, backend, _ = lambda_entry._process()
    clients = dict(backend.clients._made)
    ask("GET", "/api/v1/analysis/batch")
    assert dict(backend.clients._made) == clients
    assert set(clients) == {"dynamodb"}, "a read pays for the table alone"


@pytest.mark.parametrize("text", ["x" * 4_100_000, "master_file,dub_file\n" + "/mnt/data/a,/mnt/data/b\n" * 10_001])
def test_what_is_too_large_here_is_shown_the_drop_folder(gateway, text):
    status, body = upload(text)
    assert status == 413
    assert f"into the drop folder, s3://{gateway}/drop/, with a name that ends in .csv" in body["error"]


def test_nobody_waits_longer_than_api_gateway_does(gateway):
    pair = {"master_file": "/mnt/data/a.wav", "dub_file": "/mnt/data/b.wav", "wait_seconds": 26}
    status, body = ask("POST", "/api/v1/analysis/sync", json.dumps(pair).encode(), content_type="application/json")
    assert status == 400
    assert "at most 25" in body["error"]


def test_a_large_answer_is_fetched_from_the_bucket(gateway, monkeypatch):
    rows = "".join(f'/mnt/data/a.wav,/mnt/data/{n}.wav,"{"x" * 1000}"\n' for n in range(1000))
    batch_id = upload("master_file,dub_file,description\n" + rows)[1]["batch_id"]
    path = f"/api/v1/analysis/batch/{batch_id}/results"
    monkeypatch.setattr(lambda_entry, "_MOST_BYTES", 1_050_000)
    answer = lambda_entry.handler(event("GET", path), CONTEXT)
    assert answer["statusCode"] == 303, answer["body"][:300]
    body = json.loads(answer["body"])
    assert answer["headers"]["location"] == body["url"]
    fetched = httpx.get(body["url"])
    assert fetched.headers["content-type"] == "application/json"
    assert len(fetched.json()["results"]) == 1000
    assert len(fetched.content) > 1_050_000


def test_quotes_count_double_as_they_do_in_lambdas_own_answer():
    assert lambda_entry._is_too_large({"body": '"' * 2_600_000})
    assert not lambda_entry._is_too_large({"body": "x" * 2_600_000})


def test_settings_beyond_api_gateways_limits_are_refused(monkeypatch):
    monkeypatch.setenv("SYNC_UPLOAD_MAX_BYTES", "9000000")
    with pytest.raises(ConfigurationError, match="SYNC_UPLOAD_MAX_BYTES"):
        lambda_entry.read_settings(LambdaSettings)
