"""Metrics: counted where things happen, read at /metrics, and written for CloudWatch."""

from __future__ import annotations

import json

import pytest

from handlers.metrics import DEAD_ENDED, REQUESTS, EmfWriter
from tests.api.live import LiveService


@pytest.fixture(scope="module")
def metrics_text(tmp_path_factory) -> str:
    with LiveService(tmp_path_factory.mktemp("metered")) as service:
        service.finished()
        service.http.get("/api/v1/nothing/here")
        return service.http.get("/metrics").text


@pytest.mark.parametrize(
    "line",
    [
        'sync_request_seconds_count{route="/api/v1/analysis/batch/{batch_id}/start",status="200"}',
        'sync_request_seconds_count{route="none",status="404"}',
        'sync_delivery_seconds_count{outcome="saved"}',
        'sync_queue_messages{priority="high",state="waiting"} 0.0',
        "sync_dead_letters_ended_total 0.0",
        "sync_workers 1.0",
    ],
)
def test_the_service_shows_requests_deliveries_queues_and_workers(metrics_text: str, line: str):
    assert line in metrics_text


def test_cloudwatch_gets_what_was_added_and_nothing_twice(capsys):
    writer = EmfWriter("api")
    writer.write()
    capsys.readouterr()
    REQUESTS.labels("/a", "200").observe(0.5)
    REQUESTS.labels("/b", "500").observe(1.5)
    DEAD_ENDED.inc(2)
    writer.write()
    writer.write()
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (line["process"], line["sync_request_seconds_count"], line["sync_request_seconds_sum"]) == ("api", 2, 2)
    assert line["sync_dead_letters_ended_total"] == 2
    (described,) = line["_aws"]["CloudWatchMetrics"]
    assert described["Dimensions"] == [["process"]]
    named = {metric["Name"]: metric["Unit"] for metric in described["Metrics"]}
    assert named["sync_request_seconds_sum"] == "Seconds"
    assert set(named) == set(line) - {"_aws", "process"}
