"""What reports are called: each attempt at an item has a name of its own, so that a late one overwrites nothing."""

from __future__ import annotations

from sync_core.domain.batch import item_id_of


def report_prefix(batch_id: str, item_index: int) -> str:
    """Give the beginning of the names of all reports of an item."""
    return f"{batch_id}/{item_id_of(item_index)}-"


def report_key(batch_id: str, item_index: int, fence: int) -> str:
    """Give the name of the report of the attempt under this fence."""
    return f"{report_prefix(batch_id, item_index)}{fence}.json"
