"""Which AWS resources hold the system's state, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sync_core.domain.batch import Priority

BATCHES_BY_TIME = "batches_by_time"
ITEMS_DUE = "items_due"


@dataclass(frozen=True, slots=True)
class AwsResources:
    """One table, one bucket, and for each priority a queue and its dead-letter queue, both by URL."""

    table: str
    bucket: str
    queue_urls: Mapping[Priority, str]
    dead_letter_urls: Mapping[Priority, str]
