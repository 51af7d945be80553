"""Results as JSON and CSV."""

from __future__ import annotations

import csv
import io

import pytest

from handlers.api.accept import prefers_csv
from handlers.api.schemas import ResultsResponse
from tests.api.live import LiveService, rows


def table(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_results_are_partial_while_the_batch_runs(own: LiveService):
    batch_id = own.uploaded(rows("one", "missing", "held", "later"))
    own.start(batch_id, parallel_jobs=1)
    while own.status(batch_id)["items_failed"] < 1:
        pass
    answer = own.batch(batch_id, "results").json()
    assert answer["status"] == "processing"
    assert answer["summary"]["average_confidence"] == 0.981
    assert [item["status"] for item in answer["results"]] == ["completed", "failed", "processing", "pending"]
    assert [bool(item["result"]) for item in answer["results"]] == [True, False, False, False]
    assert answer["results"][1]["error_code"] == "MEDIA_NOT_FOUND"
    assert [row["status"] for row in table(own.batch(batch_id, "results", export_format="csv").text)] == [
        "completed",
        "failed",
        "processing",
        "pending",
    ]


def test_documents_are_as_the_schema_says(service: LiveService):
    batch_id = service.finished(rows("one", "missing", "unrelated"))
    for answer in (service.batch(batch_id, "results"), service.http.get(f"/api/v1/reports/{batch_id}.json")):
        document = answer.json()
        told = ResultsResponse.model_validate(document).model_dump(mode="json", exclude_unset=True)
        assert told | {"timestamp": document["timestamp"]} == document


def test_results_before_the_start(idle: LiveService):
    answer = idle.batch(idle.uploaded(), "results").json()
    assert answer["status"] == "uploaded"
    assert answer["summary"]["processing_time_seconds"] == 0.0
    assert answer["summary"]["average_confidence"] == 0.0


def test_no_match_is_an_answer(service: LiveService):
    answer = service.batch(service.finished(rows("unrelated")), "results").json()
    assert answer["status"] == "completed"
    assert answer["summary"]["average_confidence"] == 0.0
    (item,) = answer["results"]
    assert (item["status"], item["result"]["verdict"]) == ("completed", "no_match")
    assert item["result"]["offset_seconds"] is None


def test_csv_carries_the_values_of_the_json(service: LiveService):
    text = 'master_file,dub_file,description,tags\n/mnt/data/m.wav,/mnt/data/d.wav,"=1+1, -2","-a,b"\n'
    batch_id = service.finished(text)
    answer = service.batch(batch_id, "results", export_format="csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = table(answer.text)
    (item,) = service.batch(batch_id, "results").json()["results"]
    assert float(row["offset_seconds"]) == item["result"]["offset_seconds"] == -15.023
    assert row["analysis_id"] == item["result"]["analysis_id"]
    assert (row["description"], row["tags"]) == ("'=1+1, -2", "'-a,b")
    assert (item["description"], item["tags"]) == ("=1+1, -2", ["-a", "b"])


def test_more_items_than_a_page(service: LiveService):
    batch_id = service.uploaded("master_file,dub_file\n" + "/mnt/data/a,/mnt/data/b\n" * 250)
    items = service.batch(batch_id, "results").json()["results"]
    assert [item["item_id"] for item in items] == [f"item_{number:03d}" for number in range(1, 251)]
    assert len(table(service.batch(batch_id, "results", export_format="csv").text)) == 250


@pytest.mark.parametrize(
    ("accept", "export_format", "kind"),
    [
        ("text/csv", None, "text/csv"),
        ("text/csv", "json", "application/json"),
        ("application/json", "csv", "text/csv"),
        ("application/json, text/csv;q=0.9", None, "application/json"),
        ("*/*", None, "application/json"),
    ],
)
def test_format_is_chosen_by_parameter_then_by_accept(idle: LiveService, accept, export_format, kind):
    params = {"export_format": export_format} if export_format else {}
    url = f"/api/v1/analysis/batch/{idle.uploaded()}/results"
    answer = idle.http.get(url, params=params, headers={"Accept": accept})
    assert answer.headers["content-type"].partition(";")[0] == kind


def test_unknown_format_is_refused(idle: LiveService):
    answer = idle.batch(idle.uploaded(), "results", export_format="xml")
    assert answer.status_code == 400
    assert "export_format" in answer.json()["error"]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, False),
        ("", False),
        ("image/png", False),
        ("TEXT/CSV", True),
        ("text/*", True),
        ("text/csv;q=0", False),
        ("text/csv;q=0.2, application/json;q=0.1", True),
        ("text/csv; q=0.2 , */*;q=0.3", False),
        ("text/csv;charset=utf-8, */*;q=0.1", True),
        ("text/csv;q=much", False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        (",;=,q=;;", False),
    ],
)
def test_accept_is_read_with_its_weights(accept, wanted):
    assert prefers_csv(accept) is wanted
