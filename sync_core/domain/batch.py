"""Batches, items and the rules of their states. Pure: no input, no output, no clock.

Batch:  uploaded -> processing -> completed | failed | cancelled     (failed only if every item failed)
Item:   pending  -> processing -> completed | failed | cancelled

An item counts as processing from the moment it is claimed for dispatch. At most `parallel_jobs` items are claimed and
not ended; the window moves on as items end. At every instant, and through any crash::

    pending + processing + completed + failed + cancelled == items_total
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sync_core.domain.errors import WrongState
from sync_core.domain.methods import AiModel, Method


class BatchStatus(StrEnum):
    UPLOADED = "uploaded"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in (BatchStatus.COMPLETED, BatchStatus.FAILED, BatchStatus.CANCELLED)


class ItemStatus(StrEnum):
    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self in (ItemStatus.COMPLETED, ItemStatus.FAILED, ItemStatus.CANCELLED)


class Priority(StrEnum):
    """Each priority has a queue of its own."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class EventType(StrEnum):
    """What a webhook is told; one event per change of a batch's state."""

    BATCH_STARTED = "batch.started"
    BATCH_COMPLETED = "batch.completed"
    BATCH_FAILED = "batch.failed"
    BATCH_CANCELLED = "batch.cancelled"


@dataclass(frozen=True, slots=True)
class ItemRequest:
    """One row of an upload: what to compare, and how.

    `pinned` are master and dub as the first attempt pinned them to what it found, if one of them lies in S3; every
    attempt reads these.
    """

    master_file: str
    dub_file: str
    methods: tuple[Method, ...]
    ai_model: AiModel | None = None
    description: str = ""
    tags: tuple[str, ...] = ()
    per_channel: bool = False
    pinned: tuple[str, str] | None = None

    @property
    def files(self) -> tuple[str, str]:
        """The references to read: master and dub."""
        return self.pinned or (self.master_file, self.dub_file)


@dataclass(frozen=True, slots=True)
class Counters:
    """How many items of a batch are in each state; the source of every status answer.

    `next_item` is the index of the first item that has never been claimed. The sum of confidences is kept here so that
    a batch's summary is one read.
    """

    total: int
    next_item: int = 0
    in_flight: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    confidence_sum: float = 0.0
    confidence_count: int = 0

    @property
    def pending(self) -> int:
        return self.total - self.in_flight - self.ended

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled

    @property
    def average_confidence(self) -> float:
        """Mean over the items that have an offset; 0.0 when none has."""
        return self.confidence_sum / self.confidence_count if self.confidence_count else 0.0


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as one read of the store gives it; its items are read apart."""

    batch_id: str
    status: BatchStatus
    counters: Counters
    parallel_jobs: int
    priority: Priority
    created_at: datetime
    description: str = ""
    webhook_url: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    retry_of: str | None = None
    single: bool = False
    """True for the batch of one that stands behind a one-pair analysis; left out of batch lists."""

    @property
    def progress_percent(self) -> float:
        """Ended items of all, in percent with one decimal."""
        return round(100.0 * self.counters.ended / self.counters.total, 1) if self.counters.total else 100.0


@dataclass(frozen=True, slots=True)
class ItemProgress:
    """Where a running item is; `percent` of the whole item."""

    stage: str
    percent: float


def item_id_of(index: int) -> str:
    """Give the id of a batch's item."""
    return f"item_{index + 1:03d}"


@dataclass(frozen=True, slots=True)
class Item:
    """One pair of a batch.

    `attempt` counts begun attempts that nobody released; `fence` grows with each lease. `result` is the stored form of
    an AnalysisResult. `next_item` is the index of the item that this one's end claimed, or None.
    """

    batch_id: str
    index: int
    request: ItemRequest
    status: ItemStatus = ItemStatus.PENDING
    attempt: int = 0
    fence: int = 0
    leased_by: str | None = None
    lease_until: datetime | None = None
    progress: ItemProgress | None = None
    analysis_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    result: Mapping[str, object] | None = None
    error: str | None = None
    error_code: str | None = None
    report_key: str | None = None
    next_item: int | None = None

    @property
    def item_id(self) -> str:
        return item_id_of(self.index)

    def is_leased(self, now: datetime) -> bool:
        return self.lease_until is not None and self.lease_until > now


@dataclass(frozen=True, slots=True)
class ItemEnd:
    """How an item ended; what one transaction stores.

    `confidence` is counted into the batch's average, and is None where the item has no offset.
    """

    status: ItemStatus
    result: Mapping[str, object] | None = None
    confidence: float | None = None
    error: str | None = None
    error_code: str | None = None
    report_key: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The outcome of a transition: the batch after it, the items it claims, the event it makes."""

    batch: Batch
    claimed: tuple[int, ...] = ()
    event: EventType | None = None


@dataclass(frozen=True, slots=True)
class StartOptions:
    """What `start` may set; None keeps what the upload said."""

    parallel_jobs: int = 2
    priority: Priority | None = None
    webhook_url: str | None = None


def start(batch: Batch, options: StartOptions, now: datetime) -> Change:
    """Move an uploaded batch to processing and claim its first window.

    Raises
    ------
    WrongState
        If the batch was started or cancelled before.
    """
    if batch.status is not BatchStatus.UPLOADED:
        raise WrongState(
            f"Batch {batch.batch_id} is {batch.status} and cannot be started; only an uploaded batch can. "
            "To run failed items again, use retry-failed, which makes a new batch."
        )
    window = min(options.parallel_jobs, batch.counters.total)
    started = replace(
        batch,
        status=BatchStatus.PROCESSING,
        parallel_jobs=options.parallel_jobs,
        priority=options.priority or batch.priority,
        webhook_url=options.webhook_url or batch.webhook_url,
        started_at=now,
        counters=replace(batch.counters, next_item=window, in_flight=window),
    )
    return Change(started, tuple(range(window)), EventType.BATCH_STARTED)


def end_item(batch: Batch, end: ItemEnd, now: datetime) -> Change:
    """Count one item that was in flight as ended, claim the next one, and end the batch after the last.

    The batch must have that item in flight; the caller's conditional write sees to it that an item ends once.
    """
    counted = _count(batch.counters, end)
    if batch.status is not BatchStatus.PROCESSING:
        return Change(replace(batch, counters=counted))
    if counted.next_item < counted.total:
        claimed = counted.next_item
        moved = replace(counted, next_item=claimed + 1, in_flight=counted.in_flight + 1)
        return Change(replace(batch, counters=moved), (claimed,))
    if counted.in_flight:
        return Change(replace(batch, counters=counted))
    failed = counted.failed == counted.total
    status, event = (
        (BatchStatus.FAILED, EventType.BATCH_FAILED) if failed else (BatchStatus.COMPLETED, EventType.BATCH_COMPLETED)
    )
    return Change(replace(batch, counters=counted, status=status, ended_at=now), event=event)


def cancel(batch: Batch, now: datetime) -> Change:
    """Cancel at once: pending items count as cancelled, items in flight go on counting until they stop.

    A cancelled batch is left as it is, so that repeating the request is harmless.

    Raises
    ------
    WrongState
        If the batch has completed or failed.
    """
    if batch.status is BatchStatus.CANCELLED:
        return Change(batch)
    if batch.status.is_terminal:
        raise WrongState(f"Batch {batch.batch_id} is {batch.status} and cannot be cancelled any more.")
    counters = batch.counters
    left = replace(counters, cancelled=counters.cancelled + counters.pending)
    cancelled = replace(batch, status=BatchStatus.CANCELLED, counters=left, ended_at=now)
    return Change(cancelled, event=EventType.BATCH_CANCELLED)


def visible_status(item: Item, batch: Batch) -> ItemStatus:
    """Status of an item as the user sees it, derived from what is stored and from the batch.

    Claimed items read as processing though their row still says pending; unclaimed items of a cancelled batch read as
    cancelled without having been rewritten.
    """
    if item.status is not ItemStatus.PENDING:
        return item.status
    if item.index < batch.counters.next_item:
        return ItemStatus.PROCESSING
    return ItemStatus.CANCELLED if batch.status is BatchStatus.CANCELLED else ItemStatus.PENDING


def estimated_completion(batch: Batch, now: datetime) -> datetime | None:
    """Extrapolate from the pace so far; None until an item has ended or once nothing is left."""
    done, left = batch.counters.ended, batch.counters.total - batch.counters.ended
    if batch.status is not BatchStatus.PROCESSING or batch.started_at is None or not done or not left:
        return None
    return now + (now - batch.started_at) / done * left


def _count(counters: Counters, end: ItemEnd) -> Counters:
    one = {end.status.value: getattr(counters, end.status.value) + 1}
    rated = end.confidence is not None
    return replace(
        counters,
        in_flight=counters.in_flight - 1,
        confidence_sum=counters.confidence_sum + (end.confidence or 0.0),
        confidence_count=counters.confidence_count + rated,
        **one,
    )
