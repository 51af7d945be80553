"""What the table's stream tells: the keys of rows that are new."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sync_core.backends.aws.keys import EVENT_PREFIX


def batches_with_events(records: Mapping[str, Any]) -> tuple[str, ...]:
    """Give the ids of the batches that records of the stream have events of, each once, in order."""
    keys = [record.get("dynamodb", {}).get("Keys", {}) for record in records.get("Records", ())]
    of_events = [key["pk"]["S"] for key in keys if key.get("sk", {}).get("S", "").startswith(EVENT_PREFIX)]
    return tuple(dict.fromkeys(pk.removeprefix("BATCH#") for pk in of_events))
