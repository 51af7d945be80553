"""Events of S3, as they come: encoded, doubled, several at once, and not always about what is meant."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.backends.aws.s3_events import Arrival, NotAnEvent, arrivals_in, arrivals_of

BUCKET = "studio"
KEYS = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=40)


def record(key: str, version: str | None = "v1", *, event: str = "ObjectCreated:Put", bucket: str = BUCKET) -> dict:
    """Make a record as S3 does; `key` is the encoded one."""
    named: dict[str, Any] = {"key": key, "size": 1, "eTag": "0123456789abcdef", "sequencer": "00"}
    if version:
        named["versionId"] = version
    return {"eventSource": "aws:s3", "eventName": event, "s3": {"bucket": {"name": bucket}, "object": named}}


@given(KEYS)
def test_keys_with_spaces_unicode_and_percent_are_read_as_they_were_written(key: str) -> None:
    for encoded in (quote_plus(key), quote(key), quote_plus(key, safe="/")):
        event = json.dumps({"Records": [record(encoded)]})
        assert arrivals_in(event, BUCKET) == (Arrival(key, "v1"),)


@pytest.mark.parametrize(
    ("encoded", "key"),
    [("drop/a+b.csv", "drop/a b.csv"), ("drop/a%2Bb%25.csv", "drop/a+b%.csv"), ("drop/%C3%BC.csv", "drop/ü.csv")],
)
def test_a_plus_is_a_blank_and_percent_encodes(encoded: str, key: str) -> None:
    assert arrivals_of({"Records": [record(encoded)]}, BUCKET) == (Arrival(key, "v1"),)


def test_a_test_event_tells_of_nothing() -> None:
    event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2014-10-13T15:57:02.089Z", "Bucket": BUCKET}
    assert arrivals_of(event, BUCKET) == ()


def test_records_that_are_doubled_count_once_and_versions_each_for_itself() -> None:
    records = [record("a", "v2"), record("a", "v1"), record("a", "v2"), record("b", "v1")]
    assert arrivals_of({"Records": records}, BUCKET) == (Arrival("a", "v2"), Arrival("a", "v1"), Arrival("b", "v1"))


def test_without_versions_the_etag_names_the_version() -> None:
    assert arrivals_of({"Records": [record("a", None), record("b", "null")]}, BUCKET) == (
        Arrival("a", "etag:0123456789abcdef"),
        Arrival("b", "etag:0123456789abcdef"),
    )


def test_removals_and_other_buckets_are_passed_over() -> None:
    records = [
        record("a", event="ObjectRemoved:Delete"),
        record("b", event="LifecycleExpiration:Delete"),
        record("c", bucket="studio2"),
        record("d", event="s3:ObjectCreated:CompleteMultipartUpload"),
    ]
    assert arrivals_of({"Records": records}, BUCKET) == (Arrival("d", "v1"),)


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", "1", '{"Records": [{}]}', '{"Records": 1}', "{}", '{"Records": null}']
)
def test_what_is_no_event_says_so(text: str) -> None:
    with pytest.raises(NotAnEvent):
        arrivals_in(text, BUCKET)
