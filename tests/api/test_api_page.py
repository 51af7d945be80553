"""docs/api.md tells the truth about routes and error codes."""

from __future__ import annotations

import re
from pathlib import Path

from handlers.api.errors import _CODES, _STATUSES
from sync_core.domain.errors import InputError, SyncError, TransientError
from tests.api.live import LiveService
from tests.api.test_customer_document import DOCUMENT

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text()


def with_descendants(kind: type[SyncError]) -> set[type[SyncError]]:
    return {kind}.union(*(with_descendants(child) for child in kind.__subclasses__()))


def test_every_route_is_in_the_page_or_in_the_customers_document(idle: LiveService):
    paths = idle.http.get("/openapi.json").json()["paths"]
    told = re.sub(r"batch_\d{8}_\d{6}_\w{8}", "{batch_id}", DOCUMENT) + PAGE
    told = told.replace(
        "/reports/{batch_id}.json` and `.csv`", "/reports/{batch_id}.json /api/v1/reports/{batch_id}.csv"
    )
    assert [path for path in paths if path not in told] == []


def test_every_error_code_of_the_table_is_in_use_and_with_its_status():
    statuses = {kind: status for base, status in reversed(_STATUSES) for kind in with_descendants(base)}
    known = {(int(status), kind.code) for kind, status in statuses.items()}
    known |= {(int(status), code) for status, code in _CODES.items()} | {(500, "INTERNAL_ERROR")}
    rows = re.findall(r"^\| (\d{3}) \|.*\| (`.*`) \|$", PAGE, re.MULTILINE)
    listed = {(int(status), code) for status, codes in rows for code in re.findall(r"\w+", codes)}
    assert listed
    assert listed - known == set()


NOT_MET_BY_CALLERS = {
    "FORBIDDEN",  # the base of others
    "UNPAIRED_FILES",  # is written beside what was dropped
    "NOT_AN_EVENT",  # is what a function says to S3
}


def test_every_code_that_a_caller_can_meet_is_in_the_table():
    met = {kind.code for kind in with_descendants(InputError)} - NOT_MET_BY_CALLERS
    assert [code for code in met if f"`{code}`" not in PAGE] == []
    assert TransientError.code not in PAGE
