"""The results of a batch as a table for spreadsheets: RFC 4180, UTF-8, a header line, one line per item."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

from sync_core.domain.batch import Batch, Item, visible_status
from sync_core.reports.chunks import chunked

COLUMNS = (
    "item_id",
    "master_file",
    "dub_file",
    "status",
    "verdict",
    "offset_seconds",
    "confidence",
    "method_used",
    "speed_ratio",
    "drift_ppm",
    "analysis_id",
    "error_code",
    "error",
    "description",
    "tags",
)
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(value: object) -> object:
    """Keep a spreadsheet from running text as a formula: an apostrophe goes before it. Numbers stay numbers.

    Examples
    --------
    >>> safe_cell("=1+1"), safe_cell(-15.023), safe_cell(None)
    ("'=1+1", -15.023, '')
    """
    if value is None:
        return ""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return f"'{value}"
    return value


def stream_results_csv(batch: Batch, items: AsyncIterator[Item]) -> AsyncIterator[bytes]:
    """Write the table piece by piece, so that a batch of any size takes the same memory."""
    return chunked(_lines(batch, items))


async def _lines(batch: Batch, items: AsyncIterator[Item]) -> AsyncIterator[str]:
    yield _line(COLUMNS)
    async for item in items:
        yield _line(_cells(item, batch))


def _cells(item: Item, batch: Batch) -> tuple[object, ...]:
    result = item.result or {}
    request = item.request
    return (
        item.item_id,
        request.master_file,
        request.dub_file,
        visible_status(item, batch).value,
        result.get("verdict"),
        result.get("offset_seconds"),
        result.get("confidence"),
        result.get("method_used"),
        result.get("speed_ratio"),
        result.get("drift_ppm"),
        result.get("analysis_id"),
        item.error_code,
        item.error,
        request.description,
        ",".join(request.tags),
    )


def _line(cells: tuple[object, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow([safe_cell(cell) for cell in cells])
    return text.getvalue()
