"""Settings of dropped batches, in columns and in JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sync_core.domain.batch import Priority
from sync_core.domain.errors import InvalidBatch
from sync_core.domain.media import MediaPolicy
from sync_core.jobs.csv_rows import UploadLimits, parse_upload
from sync_core.jobs.drop_settings import COLUMNS, DropSettings, merged, read_settings_file

POLICY = MediaPolicy(roots=("/mnt",))


def of_csv(text: str) -> dict[str, object]:
    parsed = parse_upload(text.encode(), limits=UploadLimits(), policy=POLICY, batch_columns=COLUMNS)
    assert parsed.ignored_columns == ()
    return dict(parsed.batch_values)


def problems_of(text: str) -> list[tuple[int, str | None]]:
    with pytest.raises(InvalidBatch) as caught:
        of_csv(text)
    return [(problem.line, problem.column) for problem in caught.value.problems]


def test_columns_of_the_first_row_speak_for_the_batch() -> None:
    head = "Parallel_Jobs;master_file;dub_file;priority;webhook\n"
    assert of_csv(head + "8;/mnt/a;/mnt/b;HIGH;https://a.example/h\n;/mnt/c;/mnt/d;;\n8;/mnt/e;/mnt/f;;\n") == {
        "parallel_jobs": 8,
        "priority": Priority.HIGH,
        "webhook": "https://a.example/h",
    }
    assert of_csv(head + ";/mnt/a;/mnt/b;;\n") == {}


def test_a_bad_setting_is_named_with_its_line_beside_bad_rows() -> None:
    text = "master_file,dub_file,parallel_jobs,priority\n\n/mnt/a,/mnt/b,65,soon\n/etc/x,/mnt/b,,\n"
    assert problems_of(text) == [(3, "parallel_jobs"), (3, "priority"), (4, "master_file")]


def test_a_later_row_cannot_say_otherwise() -> None:
    text = "master_file,dub_file,priority\n/mnt/a,/mnt/b,\n/mnt/a,/mnt/b,high\n"
    assert problems_of(text) == [(3, "priority")]


@pytest.mark.parametrize("jobs", ["0", "-1", "1.5", "65", "many", "²"])
def test_parallel_jobs_are_as_the_api_takes_them(jobs: str) -> None:
    assert problems_of(f"master_file,dub_file,parallel_jobs\n/mnt/a,/mnt/b,{jobs}\n") == [(2, "parallel_jobs")]


def test_the_webhook_may_be_called_as_the_api_calls_it() -> None:
    url = "https://a.example/h"
    values = of_csv(f"master_file,dub_file,notification_webhook\n/mnt/a,/mnt/b,{url}\n")
    assert merged(values, {}).webhook == url
    assert merged({}, read_settings_file(json.dumps({"notification_webhook": url}).encode(), "a.json")).webhook == url
    assert merged(values, {"webhook": "https://b.example"}).webhook == url


@pytest.mark.parametrize("jobs", [4, "4"])
def test_a_json_file_beside_it_says_the_same(jobs: object) -> None:
    text = json.dumps({"parallel_jobs": jobs, "priority": "low", "webhook": None, "description": "Ü"})
    values = read_settings_file(text.encode(), "pairs.json")
    assert merged({}, values) == DropSettings(4, Priority.LOW, None, "Ü")
    assert merged({"priority": Priority.HIGH}, values).priority is Priority.HIGH


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        (b"{", [None]),
        (b"\xc3\x28", []),
        (b"[1]", []),
        (b"[" * 100_000, []),
        (b'{"parallel_jobs": true, "prio": 1, "priority": {}}', ["parallel_jobs", "prio", "priority"]),
    ],
)
def test_settings_that_cannot_be_read_are_refused(content: bytes, columns: list[Any]) -> None:
    with pytest.raises(InvalidBatch) as caught:
        read_settings_file(content, "pairs.json")
    assert "pairs.json" in caught.value.message
    assert [problem.column for problem in caught.value.problems] == columns
