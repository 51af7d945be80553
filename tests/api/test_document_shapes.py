"""Every JSON example of the customer's document: our answer has the same fields, of the same types."""

from __future__ import annotations

import json
import re

import pytest

from tests.api.live import SAMPLE, LiveService, rows
from tests.api.test_customer_document import BLOCKS, DOCUMENT

UPLOAD, START, STATUS, RESULTS, ERROR = (json.loads(text) for language, text in BLOCKS if language == "json")
MAY_BE_NULL = {"estimated_completion"}


def assert_has_shape(answer: object, example: object, place: str = "answer") -> None:
    """Each field of the example is in the answer with the same type; a list is compared by its entries."""
    if isinstance(example, dict):
        assert isinstance(answer, dict), place
        assert not set(example) - set(answer), f"{place} lacks {set(example) - set(answer)}"
        for name, value in example.items():
            if answer[name] is not None or name not in MAY_BE_NULL:
                assert_has_shape(answer[name], value, f"{place}.{name}")
    elif isinstance(example, list):
        assert isinstance(answer, list), place
        for index, (entry, expected) in enumerate(zip(answer, example, strict=False)):
            assert_has_shape(entry, expected, f"{place}[{index}]")
    elif isinstance(example, int | float) and not isinstance(example, bool):
        assert isinstance(answer, int | float), place
        assert not isinstance(answer, bool), place
    else:
        assert type(answer) is type(example), place
        assert is_time(answer) == is_time(example), place


def is_time(value: object) -> bool:
    return bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", str(value)))


def test_the_document_has_five_json_examples():
    assert DOCUMENT.count("```json") == 5


def test_upload(idle: LiveService):
    answer = idle.upload(SAMPLE, description="Daily sync analysis batch", priority="normal").json()
    assert_has_shape(answer, UPLOAD)
    assert answer["items"][0] == UPLOAD["items"][0]
    assert [item["status"] for item in answer["items"]] == ["pending"] * 3
    assert (answer["items_count"], answer["message"]) == (3, UPLOAD["message"])
    assert re.fullmatch(r"batch_\d{8}_\d{6}_[0-9a-f]{8}", answer["batch_id"])
    assert list(answer)[:4] == list(UPLOAD)[:4]


def test_start(idle: LiveService):
    batch_id = idle.uploaded()
    answer = idle.start(batch_id, parallel_jobs=2, priority="normal").json()
    assert_has_shape(answer, START)
    changing = {"batch_id", "timestamp", "estimated_completion"}
    assert {name: answer[name] for name in set(START) - changing} == {
        name: START[name] for name in set(START) - changing
    }


def test_status_while_two_of_three_are_done(own: LiveService):
    batch_id = own.uploaded(rows("one", "two", "held"))
    own.start(batch_id, parallel_jobs=1)
    while (answer := own.status(batch_id, include_details=True))["items_completed"] < 2:
        pass
    assert_has_shape(answer, {**STATUS, "items_details": STATUS["items_details"][:1]})
    for name in ("status", "progress", "items_total", "items_completed", "items_processing", "items_failed"):
        assert answer[name] == STATUS[name]
    first, _, third = answer["items_details"]
    assert {name: first["result"][name] for name in ("offset_seconds", "confidence")} == {
        "offset_seconds": -15.023,
        "confidence": 0.981,
    }
    assert third["status"] == "processing"
    assert "result" not in third
    assert "items_details" not in own.status(batch_id)


def test_results(service: LiveService):
    batch_id = service.finished()
    answer = service.batch(batch_id, "results").json()
    assert_has_shape(answer, RESULTS)
    links = {name: link.replace(RESULTS["batch_id"], batch_id) for name, link in RESULTS["download_links"].items()}
    assert answer["download_links"] == links
    assert list(answer) == list(RESULTS)
    for link in links.values():
        report = service.http.get(link)
        assert report.status_code == 200
        assert f'filename="{link.rpartition("/")[2]}"' in report.headers["content-disposition"]


@pytest.mark.parametrize("path", ["status", "results"])
def test_unknown_batch(idle: LiveService, path):
    answer = idle.batch("batch_12345", path)
    assert answer.status_code == 404
    assert_has_shape(answer.json(), ERROR)
    assert answer.json()["error"] == ERROR["error"]
    assert idle.batch("batch_20250828_140600_00000000", path).json()["error"] == (
        "Batch batch_20250828_140600_00000000 not found"
    )
