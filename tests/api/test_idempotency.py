"""The same request twice, one after the other and at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.api.live import SAMPLE, LiveService, rows

PAIR = {"master_file": "/mnt/data/m.wav", "dub_file": "/mnt/data/d.wav"}


def upload(service: LiveService, key: str, text: str = SAMPLE, **fields: str) -> httpx.Response:
    return service.http.post(
        "/api/v1/analysis/batch/upload-csv",
        files={"file": ("b.csv", text.encode())},
        data=fields,
        headers={"Idempotency-Key": key},
    )


def test_same_upload_again_is_answered_again(service: LiveService):
    first = upload(service, "again")
    service.start(first.json()["batch_id"])
    service.wait(first.json()["batch_id"])
    assert upload(service, "again").json() == first.json()


@pytest.mark.parametrize(
    ("text", "fields"), [(SAMPLE + "\n", {}), (SAMPLE, {"priority": "high"}), (SAMPLE, {"description": "other"})]
)
def test_other_upload_under_the_same_key_is_a_conflict(idle: LiveService, text, fields):
    key = f"other {len(text)} {fields}"
    assert upload(idle, key).status_code == 200
    answer = upload(idle, key, text, **fields)
    assert (answer.status_code, answer.json()["error_code"]) == (409, "IDEMPOTENCY_CONFLICT")


def test_many_at_once_make_one_batch(idle: LiveService):
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: upload(idle, "at once"), range(24)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["batch_id"] for answer in answers}) == 1


def test_of_different_contents_at_once_under_one_key_one_wins(idle: LiveService):
    texts = [rows(f"d{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        codes = sorted(pool.map(lambda text: upload(idle, "rivals", text).status_code, texts))
    assert codes == [200] + [409] * 7


def test_without_a_key_each_upload_is_its_own(idle: LiveService):
    assert idle.uploaded() != idle.uploaded()


def test_start_with_a_key_may_be_repeated(idle: LiveService):
    url = f"/api/v1/analysis/batch/{idle.uploaded()}/start"
    keyed = {"Idempotency-Key": "start"}
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: idle.http.post(url, json={"parallel_jobs": 1}, headers=keyed), range(6)))
    assert {(answer.status_code, answer.json().get("items_processing")) for answer in answers} == {(200, 1)}
    assert idle.http.post(url, json={"parallel_jobs": 2}, headers=keyed).json()["error_code"] == "IDEMPOTENCY_CONFLICT"
    assert idle.http.post(url, json={"parallel_jobs": 1}).json()["error_code"] == "WRONG_STATE"


@pytest.mark.parametrize("already", ["started", "cancelled"])
def test_start_that_was_refused_is_refused_again_under_its_key(idle: LiveService, already):
    batch_id = idle.uploaded()
    assert (idle.start(batch_id) if already == "started" else idle.cancel(batch_id)).status_code == 200
    url, keyed = f"/api/v1/analysis/batch/{batch_id}/start", {"Idempotency-Key": "late"}
    assert [idle.http.post(url, headers=keyed).status_code for _ in range(2)] == [409, 409]


def test_retry_with_a_key_makes_one_batch(service: LiveService):
    url = f"/api/v1/analysis/batch/{service.finished(rows('missing'))}/retry-failed"
    made = {service.http.post(url, headers={"Idempotency-Key": "retry"}).json()["batch_id"] for _ in range(3)}
    assert len(made) == 1
    assert service.http.post(url).json()["batch_id"] not in made


def test_pair_with_a_key_is_analysed_once(service: LiveService):
    def post(**more: object) -> httpx.Response:
        return service.http.post("/api/v1/analysis/sync", json={**PAIR, **more}, headers={"Idempotency-Key": "pair"})

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: post(), range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["analysis_id"] for answer in answers}) == 1
    waited = post(wait_seconds=20)
    assert waited.json()["analysis_id"] == answers[0].json()["analysis_id"]
    assert waited.json()["status"] == "completed"
    assert post(methods=["mfcc"]).status_code == 409


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_bad_key_is_refused(idle: LiveService, key):
    answer = upload(idle, key)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]
