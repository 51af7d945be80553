"""Log lines carry the same fields in both forms."""

from __future__ import annotations

import json
import logging
import socket

import httpx

from handlers.logs import JsonFormatter, TextFormatter
from tests.fakes.processes import started, wait_until


def record(**fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "jobs", "levelname": "INFO", "levelno": 20, "msg": "item %s", "args": ("ended",)}
    )
    vars(made).update(fields)
    return made


def test_json_lines_hold_message_level_and_fields():
    line = json.loads(JsonFormatter().format(record(batch_id="batch_1", attempt=2)))
    assert (line["message"], line["level"], line["batch_id"], line["attempt"]) == ("item ended", "INFO", "batch_1", 2)


def test_text_lines_end_with_the_fields():
    assert TextFormatter().format(record(batch_id="batch_1")).endswith("item ended  batch_id=batch_1")


def test_a_trace_is_kept_in_both_forms():
    try:
        raise ValueError("boom")
    except ValueError as error:
        broken = record(exc_info=(ValueError, error, error.__traceback__))
    assert "boom" in json.loads(JsonFormatter().format(broken))["trace"]
    assert "ValueError: boom" in TextFormatter().format(broken)


def test_a_request_makes_one_line_under_plain_uvicorn(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    log, url = tmp_path / "log", f"http://127.0.0.1:{port}/metrics"
    with started("uvicorn", "handlers.api.main:app", "--port", str(port), log=log, SYNC_DATA_DIR=tmp_path) as server:
        wait_until(lambda: answers(url))
        httpx.get(url.replace("metrics", "only-once"))
        server.terminate()
        server.wait(30)
    assert log.read_text().count("/only-once") == 1


def answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False
