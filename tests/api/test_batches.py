"""Uploading, starting, watching, cancelling and retrying batches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.api.live import SAMPLE, LiveService, rows

NOWHERE = "batch_20250828_140600_00000000"


def test_upload_answers_with_what_was_understood(idle: LiveService):
    text = "DUB_FILE;Note;master_file\n/mnt/data/ü.wav;hello;/mnt/data/m.wav\n"
    answer = idle.upload(text.encode("utf-16"), description="Umläute").json()
    assert answer["items"][0]["dub_file"] == "/mnt/data/ü.wav"
    assert answer["items"][0]["methods"] == ["mfcc", "onset", "spectral"]
    assert answer["ignored_columns"] == ["Note".lower()]
    assert answer["items_truncated"] is False


def test_all_bad_rows_are_reported_and_nothing_is_stored(idle: LiveService):
    before = idle.http.get("/api/v1/analysis/batch").json()["batches"]
    text = (
        "master_file,dub_file,methods\n"
        "/mnt/data/a.wav,/mnt/data/b.wav,mfcc\n"
        "/mnt/data2/a.wav,/mnt/data/b.wav,mfcc\n"
        "/mnt/data/../../etc/passwd,,magic\n"
        "s3://other/a.wav,/mnt/data/b.wav,\n"
    )
    answer = idle.upload(text)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "INVALID_CSV"
    assert "3 of 4 rows" in answer.json()["error"]
    found = [(detail["line"], detail["column"]) for detail in answer.json()["details"]]
    assert found == [(3, "master_file"), (4, "master_file"), (4, "dub_file"), (4, "methods"), (5, "master_file")]
    assert all(detail["reason"] for detail in answer.json()["details"])
    assert idle.http.get("/api/v1/analysis/batch").json()["batches"] == before


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"priority": "urgent"}, "priority"),
        ({"notification_webhook": "ftp://example.com"}, "webhook"),
        ({"notification_webhook": "http://169.254.169.254/latest"}, "webhook"),
        ({"description": "x" * 5000}, "description"),
    ],
)
def test_bad_fields_of_an_upload_are_named(idle: LiveService, fields, named):
    answer = idle.upload(SAMPLE, **fields)
    assert answer.status_code == 400
    assert named in answer.json()["error"]


def test_upload_needs_a_file(idle: LiveService):
    url = "/api/v1/analysis/batch/upload-csv"
    for request in ({"data": {"description": "x"}}, {"json": {}}, {"content": b"x"}, {"data": {"file": "text"}}):
        answer = idle.http.post(url, **request)
        assert answer.status_code == 400, request
        assert "file" in answer.json()["error"]
    two = [("file", ("a.csv", SAMPLE)), ("file", ("b.csv", SAMPLE))]
    assert idle.http.post(url, files=two).status_code == 400


def test_upload_names_its_items_beyond_a_thousand_by_count_only(idle: LiveService):
    answer = idle.upload("master_file,dub_file\n" + "/mnt/data/a,/mnt/data/b\n" * 1_001).json()
    assert (answer["items_count"], len(answer["items"]), answer["items_truncated"]) == (1_001, 1_000, True)
    assert answer["items"][-1]["item_id"] == "item_1000"


def test_start_twice_is_a_conflict(idle: LiveService):
    batch_id = idle.uploaded()
    assert idle.start(batch_id).status_code == 200
    again = idle.start(batch_id)
    assert again.status_code == 409
    assert again.json()["error_code"] == "WRONG_STATE"
    assert idle.status(batch_id)["items_processing"] == 2


def test_of_many_simultaneous_starts_one_succeeds(idle: LiveService):
    batch_id = idle.uploaded()
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(lambda _: idle.start(batch_id).status_code, range(8)))
    assert codes == [200] + [409] * 7
    assert idle.status(batch_id)["items_processing"] == 2


def test_start_after_cancel_is_a_conflict(idle: LiveService):
    batch_id = idle.uploaded()
    assert idle.cancel(batch_id).json()["status"] == "cancelled"
    answer = idle.start(batch_id)
    assert answer.status_code == 409
    assert "cancelled" in answer.json()["error"]


def test_start_without_a_body_takes_the_defaults(idle: LiveService):
    batch_id = idle.uploaded(priority="low")
    answer = idle.http.post(f"/api/v1/analysis/batch/{batch_id}/start").json()
    assert answer["message"] == "Batch processing started with 2 parallel jobs"
    listed = idle.http.get("/api/v1/analysis/batch", params={"limit": 1}).json()["batches"][0]
    assert (listed["batch_id"], listed["priority"], listed["parallel_jobs"]) == (batch_id, "low", 2)


def test_start_overrides_priority_and_webhook_of_the_upload(idle: LiveService):
    batch_id = idle.uploaded(priority="low", notification_webhook="https://1.1.1.1/upload")
    idle.start(batch_id, parallel_jobs=64, priority="high", notification_webhook="https://1.1.1.1/start")
    batch = idle.run(idle.backend.batch_store.get(batch_id))
    assert (batch.priority, batch.parallel_jobs, batch.webhook_url) == ("high", 64, "https://1.1.1.1/start")
    (event,) = idle.run(idle.backend.event_outbox.of_batch(batch_id))
    assert (event.event_type, event.webhook_url) == ("batch.started", "https://1.1.1.1/start")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"parallel_jobs": 0}, "parallel_jobs"),
        ({"parallel_jobs": 65}, "parallel_jobs"),
        ({"parallel_jobs": 1.5}, "parallel_jobs"),
        ({"parallel_jobs": "many"}, "parallel_jobs"),
        ({"priority": "urgent"}, "priority"),
        ({"notification_webhook": "http://localhost/"}, "localhost"),
        ({"paralel_jobs": 2}, "paralel_jobs"),
    ],
)
def test_bad_start_is_refused_by_name_and_starts_nothing(idle: LiveService, body, named):
    batch_id = idle.uploaded()
    answer = idle.start(batch_id, **body)
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert idle.status(batch_id)["status"] == "uploaded"


def test_details_of_running_failed_and_pending_items(own: LiveService):
    batch_id = own.uploaded(rows("missing", "held", "later"))
    own.start(batch_id, parallel_jobs=1)
    while not (details := own.status(batch_id, include_details=True)["items_details"])[1].get("percent"):
        pass
    failed, running, pending = details
    assert failed == {
        "item_id": "item_001",
        "status": "failed",
        "result": None,
        "error": "/mnt/data/missing.wav does not exist.",
        "error_code": "MEDIA_NOT_FOUND",
    }
    assert running == {"item_id": "item_002", "status": "processing", "stage": "comparing", "percent": 40.0}
    assert pending == {"item_id": "item_003", "status": "pending"}


def test_cancel_stops_running_items_and_counts_the_rest(own: LiveService):
    batch_id = own.uploaded(rows("one", "held", "three", "four"))
    own.start(batch_id, parallel_jobs=1)
    while own.status(batch_id)["items_completed"] < 1:
        pass
    assert own.cancel(batch_id).json()["status"] == "cancelled"
    status = own.wait(batch_id, "cancelled")
    assert (status["items_completed"], status["items_cancelled"], status["progress"]) == (1, 3, 100.0)
    shown = [item["status"] for item in own.batch(batch_id, "results").json()["results"]]
    assert shown == ["completed", "cancelled", "cancelled", "cancelled"]
    assert own.cancel(batch_id).status_code == 200


def test_cancel_of_a_finished_batch_is_a_conflict(service: LiveService):
    assert service.cancel(service.finished()).status_code == 409


def test_batch_fails_only_if_every_item_failed(service: LiveService):
    assert service.status(service.finished(rows("missing", "missing")))["status"] == "failed"
    partly = service.status(service.finished(rows("missing", "fine", "unrelated")))
    assert (partly["status"], partly["items_failed"], partly["items_completed"]) == ("completed", 1, 2)


def test_retry_failed_makes_a_new_batch(service: LiveService):
    old = service.finished(rows("fine", "missing1", "missing2"))
    answer = service.http.post(f"/api/v1/analysis/batch/{old}/retry-failed").json()
    assert (answer["items_count"], answer["retry_of"]) == (2, old)
    assert [item["dub_file"] for item in answer["items"]] == ["/mnt/data/missing1.wav", "/mnt/data/missing2.wav"]
    assert service.status(answer["batch_id"])["status"] == "uploaded"
    assert service.status(old)["status"] == "completed"


def test_retry_needs_an_ended_batch_with_failures(service: LiveService):
    for batch_id in (service.uploaded(), service.finished(rows("fine"))):
        assert service.http.post(f"/api/v1/analysis/batch/{batch_id}/retry-failed").status_code == 409


def test_pages_of_details_stay_the_same_while_items_end(own: LiveService):
    names = [f"held{number}" for number in range(25)]
    batch_id = own.uploaded(rows(*names))
    own.start(batch_id, parallel_jobs=4)
    seen, cursor = [], None
    while cursor is not None or not seen:
        page = own.status(batch_id, include_details=True, limit=10, **({"cursor": cursor} if cursor else {}))
        seen += [item["item_id"] for item in page["items_details"]]
        cursor = page["next_cursor"]
        own.analyzer.let_go()
    assert seen == [f"item_{number:03d}" for number in range(1, 26)]


def test_details_without_a_limit_are_a_thousand_and_a_cursor(idle: LiveService):
    batch_id = idle.uploaded("master_file,dub_file\n" + "/mnt/data/a,/mnt/data/b\n" * 1_001)
    first = idle.status(batch_id, include_details=True)
    assert (len(first["items_details"]), first["next_cursor"]) == (1_000, "1000")
    last = idle.status(batch_id, include_details=True, cursor=first["next_cursor"])
    assert [item["item_id"] for item in last["items_details"]] == ["item_1001"]
    assert last["next_cursor"] is None


def test_restart_loses_nothing(tmp_path):
    with LiveService(tmp_path, worker=False) as before:
        waiting, started = before.uploaded(), before.uploaded()
        before.start(started, parallel_jobs=3)
    with LiveService(tmp_path) as after:
        assert after.status(waiting)["status"] == "uploaded"
        assert after.wait(started)["items_completed"] == 3
        assert after.start(waiting).status_code == 200
        assert after.wait(waiting)["items_completed"] == 3


@pytest.mark.parametrize(
    "params",
    [{"cursor": "x"}, {"cursor": "-1"}, {"cursor": "9" * 30}, {"limit": 0}, {"limit": 1001}, {"include_details": "x"}],
)
def test_bad_places_in_a_list_are_refused(idle: LiveService, params):
    answer = idle.batch(idle.uploaded(), "status", **{"include_details": True, **params})
    assert answer.status_code == 400


def test_cursor_beyond_the_end_gives_an_empty_page(idle: LiveService):
    page = idle.status(idle.uploaded(), include_details=True, cursor="999")
    assert (page["items_details"], page["next_cursor"]) == ([], None)


def test_list_is_newest_first_and_leaves_single_pairs_out(own: LiveService):
    made = [own.uploaded() for _ in range(5)]
    pair = {"master_file": "/mnt/data/a.wav", "dub_file": "/mnt/data/b.wav"}
    assert own.http.post("/api/v1/analysis/sync", json=pair).status_code == 202
    found, cursor = [], None
    while cursor is not None or not found:
        page = own.http.get("/api/v1/analysis/batch", params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        found += [batch["batch_id"] for batch in page.json()["batches"]]
        cursor = page.json()["next_cursor"]
        made += [own.uploaded()] if len(found) == 2 else []
    assert found == made[:5][::-1]


@pytest.mark.parametrize("cursor", ["x", "!!!", "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OS4x", "é"])
def test_bad_cursor_of_the_list_is_refused(idle: LiveService, cursor):
    assert idle.http.get("/api/v1/analysis/batch", params={"cursor": cursor}).status_code == 400


@pytest.mark.parametrize("batch_id", ["batch_12345", NOWHERE, "upload-csv", "..%2f..%2fetc", "%00", "x" * 500])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "analysis/batch/{}/start"),
        ("GET", "analysis/batch/{}/status"),
        ("GET", "analysis/batch/{}/results"),
        ("POST", "analysis/batch/{}/retry-failed"),
        ("DELETE", "analysis/batch/{}"),
        ("GET", "reports/{}.json"),
        ("GET", "reports/{}.csv"),
    ],
)
def test_batch_that_does_not_exist_is_404(idle: LiveService, method, path, batch_id):
    answer = idle.http.request(method, "/api/v1/" + path.format(batch_id))
    assert answer.status_code == 404
    assert answer.json()["error_code"] == "NOT_FOUND"
