"""Rows as the table holds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.backends.aws.keys import Key, item_key, item_of_key
from sync_core.backends.aws.rows import packed
from sync_core.backends.aws.wire import Plus, all_of, from_wire, placeholders, to_wire, update_expression
from sync_core.domain.micros import from_micros, to_micros

NUMBERS = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False, width=32)
VALUES = st.text() | st.booleans() | NUMBERS | st.binary() | st.lists(st.integers(0, 99)).map(tuple)


@given(st.dictionaries(st.text(min_size=1), VALUES))
def test_what_is_stored_is_what_is_read(row: dict[str, object]) -> None:
    assert from_wire(to_wire(row)) == row


def test_what_is_none_is_not_stored() -> None:
    assert to_wire({"error": None, "attempt": 0, "error_code": ""}) == {"attempt": {"N": "0"}, "error_code": {"S": ""}}


def test_what_has_no_form_is_a_bug() -> None:
    with pytest.raises(TypeError, match="no form"):
        to_wire({"at": datetime.now(UTC)})


def test_a_change_sets_adds_and_removes() -> None:
    text, values = update_expression({"status": "failed", "attempt": Plus(-1), "leased_by": None, "due": None})
    assert text == "SET #status = :new_status, #attempt = #attempt + :new_attempt REMOVE #leased_by, #due"
    assert values == {"new_status": "failed", "new_attempt": -1}


def test_a_change_and_its_condition_may_name_the_same_attribute() -> None:
    condition = all_of("#fence = :fence", "#status IN (:open)", fence=3, open="pending")
    text, values = update_expression({"fence": 4})
    request = placeholders({**condition.values, **values}, condition.text, text)
    assert condition.text == "(#fence = :fence) AND (#status IN (:open))"
    assert request["ExpressionAttributeNames"] == {"#fence": "fence", "#status": "status"}
    assert request["ExpressionAttributeValues"] == {
        ":fence": {"N": "3"},
        ":open": {"S": "pending"},
        ":new_fence": {"N": "4"},
    }


@given(st.integers(0, 10_000_000))
def test_an_item_is_found_by_its_key(index: int) -> None:
    key = item_key("batch_20250828_140600_a1b2c3d4", index)
    assert item_of_key(key) == ("batch_20250828_140600_a1b2c3d4", index)
    assert key < Key(key.pk, item_key("batch_20250828_140600_a1b2c3d4", index + 1).sk)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)))  # noqa: DTZ001 - the zone is given to both below
def test_times_keep_their_microseconds(at: datetime) -> None:
    aware = at.replace(tzinfo=UTC)
    assert from_micros(to_micros(aware)) == aware
    assert to_micros(aware + timedelta(microseconds=1)) == to_micros(aware) + 1


def test_a_large_result_stays_far_below_what_an_item_may_weigh() -> None:
    segments = [
        {"dub_start": n * 1.001, "dub_end": n * 1.001 + 1, "offset_seconds": -15.023 - n / 7, "kind": "programme"}
        for n in range(5000)
    ]
    content = packed({"segments": segments})
    assert content
    assert len(content) < 200_000
