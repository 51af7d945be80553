"""Log lines carry the same fields in both forms."""

from __future__ import annotations

import json
import logging

from handlers.logs import JsonFormatter, TextFormatter


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
