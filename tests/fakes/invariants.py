"""What must hold of every batch at every instant (design, section 3), read behind the back of the ports."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

_ENDED = ("completed", "failed", "cancelled")


class Watchman:
    """Looks at a back end's files again and again; remembers what has ended, for that may never change."""

    def __init__(self, data_dir: Path) -> None:
        self._reports = data_dir / "reports"
        self._database = sqlite3.connect(f"file:{data_dir / 'sync.db'}?mode=ro", uri=True, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._ended_items: dict[int, dict[str, object]] = {}
        self._ended_batches: dict[str, str] = {}
        self.looks = 0

    def close(self) -> None:
        self._database.close()

    def look(self) -> None:
        """Check all batches on one snapshot.

        Raises
        ------
        AssertionError
            If an invariant is broken.
        """
        self.looks += 1
        self._database.execute("BEGIN")
        try:
            for batch in self._rows("SELECT * FROM batches"):
                items = self._rows("SELECT * FROM items WHERE batch_no = ? ORDER BY item_no", batch["batch_no"])
                events = self._rows("SELECT * FROM events WHERE batch_id = ? ORDER BY event_no", batch["batch_id"])
                self._check(batch, items, [event["event_type"] for event in events])
        finally:
            self._database.execute("ROLLBACK")

    def _rows(self, query: str, *values: object) -> list[dict[str, object]]:
        return [dict(row) for row in self._database.execute(query, values)]

    def _check(self, batch: dict, items: list[dict], events: list[str]) -> None:
        _check_counters(batch, items)
        _check_window(batch, items)
        _check_events(batch, events)
        for item in items:
            self._check_end(batch, item)
        self._check_terminal(batch)

    def _check_end(self, batch: dict, item: dict) -> None:
        if item["status"] not in _ENDED:
            return
        assert item == self._ended_items.setdefault(item["item_no"], item), "an ended item has changed"
        if item["status"] == "completed":
            report = json.loads((self._reports / item["report_key"]).read_bytes())
            assert report["result"] == json.loads(item["result"])
            assert report["batch_id"] == batch["batch_id"]
        else:
            assert item["result"] is None
            assert item["report_key"] is None
        assert (item["error_code"] is not None) == (item["status"] == "failed")

    def _check_terminal(self, batch: dict) -> None:
        if batch["status"] in _ENDED:
            assert self._ended_batches.setdefault(batch["batch_id"], batch["status"]) == batch["status"]
        else:
            assert batch["batch_id"] not in self._ended_batches


def _check_counters(batch: dict, items: list[dict]) -> None:
    stored = Counter(item["status"] for item in items)
    skipped = max(batch["total"] - batch["next_item"], 0) if batch["status"] == "cancelled" else 0
    assert len(items) == batch["total"]
    assert batch["completed"] == stored["completed"]
    assert batch["failed"] == stored["failed"]
    assert batch["cancelled"] == stored["cancelled"] + skipped
    in_flight = [item for item in items[: batch["next_item"]] if item["status"] not in _ENDED]
    assert batch["in_flight"] == len(in_flight)
    assert not [item for item in items[batch["next_item"] :] if item["status"] != "pending"]
    pending = batch["total"] - batch["in_flight"] - batch["completed"] - batch["failed"] - batch["cancelled"]
    assert pending >= 0
    if batch["status"] in ("completed", "failed"):
        assert batch["completed"] + batch["failed"] == batch["total"]
        assert (batch["status"] == "failed") == (batch["failed"] == batch["total"])
    confidences = [json.loads(i["result"]) for i in items if i["status"] == "completed"]
    rated = [result["confidence"] for result in confidences if result["offset_seconds"] is not None]
    assert batch["confidence_count"] == len(rated)
    assert abs(batch["confidence_sum"] - sum(rated)) < 1e-6


def _check_window(batch: dict, items: list[dict]) -> None:
    assert batch["in_flight"] <= batch["parallel_jobs"], "more items are dispatched than parallel_jobs allows"
    claims = [item["next_item"] for item in items if item["next_item"] is not None]
    assert len(set(claims)) == len(claims), "an item was claimed twice"
    if batch["next_item"]:
        window = min(batch["parallel_jobs"], batch["total"])
        assert sorted(claims) == list(range(window, batch["next_item"]))


def _check_events(batch: dict, events: list[str]) -> None:
    expected = ["batch.started"] if batch["started_at"] is not None else []
    if batch["status"] in _ENDED:
        expected.append(f"batch.{batch['status']}")
    assert events == expected


def look_once(data_dir: Path) -> None:
    with closing(Watchman(data_dir)) as watchman:
        watchman.look()


def orphaned_reports(data_dir: Path) -> set[str]:
    """List the report files, unfinished ones included, that no item points to."""
    with closing(sqlite3.connect(f"file:{data_dir / 'sync.db'}?mode=ro", uri=True)) as database:
        known = {key for (key,) in database.execute("SELECT report_key FROM items WHERE report_key IS NOT NULL")}
    folder = data_dir / "reports"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} - known
