"""Do one delivered item, from receipt to acknowledgement.

The order of side effects is what makes a crash harmless::

    begin (lease, fence) -> analyse, renewing -> report stored -> finish: one transaction -> next sent -> deleted
          |                     |                     |                    |                   |
    crash: message          crash: lease ends,    crash: as before,    crash: redelivered, the end is known,
    comes again             a new attempt         an unused report     its recorded next message is sent again
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from sync_core.domain.batch import Change, Item, ItemEnd, ItemProgress, ItemRequest, ItemStatus
from sync_core.domain.errors import (
    AnalysisTimeout,
    AttemptsExhausted,
    LeaseLost,
    StorageUnavailable,
    SyncError,
    Throttled,
    TransientError,
)
from sync_core.domain.media import parse_media_ref
from sync_core.domain.result import AnalysisResult, AnalysisStage, Progress
from sync_core.domain.result_document import result_document
from sync_core.jobs.ports.analyzer import AnalysisRequest, Analyzer
from sync_core.jobs.ports.batch_store import BatchStore, Begun, NotBegun, Refusal
from sync_core.jobs.ports.clock import Clock
from sync_core.jobs.ports.media_objects import MediaObjects
from sync_core.jobs.ports.report_store import ReportStore
from sync_core.jobs.ports.work_queue import Delivery, WorkQueue
from sync_core.jobs.report_keys import report_key, report_prefix
from sync_core.jobs.start import messages_for

log = logging.getLogger(__name__)

_FIRST_HEARTBEAT_SECONDS = 1.0
"""The first one comes early, so that a status shows soon what an item is doing."""


class Outcome(StrEnum):
    """What became of a delivery."""

    SAVED = "saved"
    """The item ended and the message is gone."""
    REPEATED = "repeated"
    """The item had ended before, or was never claimed; the message is gone."""
    LATER = "later"
    """The message becomes visible again after a back-off."""
    LOST = "lost"
    """Somebody else holds the item; nothing was written and nothing acknowledged."""
    BUG = "bug"
    """An error that nobody foresaw; the message becomes visible again."""


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """How long and how often an item is tried.

    `heartbeat_seconds` is how often lease and visibility are renewed, and so how soon a cancelled item stops.
    """

    lease_seconds: float = 60.0
    heartbeat_seconds: float = 5.0
    max_attempts: int = 3
    timeout_seconds: float = 1800.0
    first_backoff_seconds: float = 5.0
    longest_backoff_seconds: float = 600.0

    def backoff_seconds(self, tries: int) -> float:
        """Grow with the number of tries: 5, 20, 80, 320, then always 600 s with the defaults."""
        growth = 4 ** min(max(tries, 1) - 1, 20)
        return float(min(self.first_backoff_seconds * growth, self.longest_backoff_seconds))


@dataclass(frozen=True, slots=True)
class ItemProcessor:
    """Use case: process one delivery. One instance serves all slots of a worker.

    `media` pins what lies in S3; None where nothing there can be read.
    """

    worker_id: str
    store: BatchStore
    queue: WorkQueue
    reports: ReportStore
    analyzer: Analyzer
    clock: Clock
    policy: AttemptPolicy
    on_progress: Callable[[Begun, Progress], None] = lambda _begun, _progress: None
    media: MediaObjects | None = None

    async def process(self, delivery: Delivery, *, slot: int = 0) -> Outcome:
        """Do the item, and dispose of the message by what became of it; `slot` is for the log.

        Cancelling the call (a shutdown) releases the item without counting the attempt.
        """
        message = delivery.message
        attempt = await self.store.begin_attempt(
            message.batch_id,
            message.item_index,
            worker_id=self.worker_id,
            now=self.clock.now(),
            lease_seconds=self.policy.lease_seconds,
        )
        if isinstance(attempt, NotBegun):
            return await self._dispose(delivery, attempt)
        work = _Attempt(self, delivery, attempt, slot)
        try:
            return await work.run()
        except asyncio.CancelledError:
            await work.release(count_attempt=False, delay_seconds=0.0)
            raise

    async def _dispose(self, delivery: Delivery, refused: NotBegun) -> Outcome:
        """Drop a message whose item cannot begin, unless somebody else's attempt may yet need it.

        At its first receipt such a message is a duplicate: the one that the attempt came from still exists. Were
        duplicates kept, or followed by the next item's message, their number would grow with the length of the batch.
        """
        is_duplicate = delivery.receive_count == 1
        item, batch = refused.item, refused.batch
        if refused.reason is Refusal.LEASED and item and item.lease_until and not is_duplicate:
            left = (item.lease_until - self.clock.now()).total_seconds()
            await self.queue.extend(delivery, visibility_seconds=max(left, 0.0) + 1.0)
            return Outcome.LATER
        if item and batch and item.status.is_terminal and not is_duplicate:
            await self.tidy(item, keep=item.report_key)
            if item.next_item is not None:
                await self.queue.send(messages_for(batch, [item.next_item], trace=delivery.message.trace))
        await self.queue.delete(delivery)
        return Outcome.REPEATED

    async def tidy(self, item: Item, *, keep: str | None) -> None:
        """Remove what earlier attempts at an item reported before they crashed.

        Comes before the message's deletion, so that a redelivery makes up for it where it fails.
        """
        if item.fence > 1:
            await self.reports.discard(report_prefix(item.batch_id, item.index), keep=keep)


class _Attempt:
    """One attempt at one item, while its lease is held."""

    def __init__(self, processor: ItemProcessor, delivery: Delivery, begun: Begun, slot: int) -> None:
        self.its = processor
        self.delivery = delivery
        self.begun = begun
        self.slot = slot
        self.lease = begun.lease
        self.progress: Progress | None = None
        self.batch_cancelled = False
        self.report_key: str | None = None

    @property
    def fields(self) -> dict[str, object]:
        """Give the fields that every log line about this attempt carries."""
        item = self.begun.item
        return {"batch_id": item.batch_id, "item_id": item.item_id, "attempt": item.attempt, "slot": self.slot}

    async def run(self) -> Outcome:
        try:
            end = await self._end()
            return await self._save(end)
        except LeaseLost as error:
            log.warning("lease lost: %s", error, extra=self.fields)
            await self._withdraw_report()
            return Outcome.LOST
        except TransientError as error:
            log.warning("will be tried again: %s", error, extra=self.fields)
            await self.release(count_attempt=error.blames_item)
            return Outcome.LATER
        except Exception as bug:
            log.exception("a bug, not the item's fault as far as is known", extra=self.fields)
            await self._fail_or_release(bug)
            return Outcome.BUG

    async def _fail_or_release(self, bug: Exception) -> None:
        """Let another attempt follow a bug, but not the last one, so that the batch ends."""
        if self.begun.item.attempt < self.its.policy.max_attempts:
            await self.release(count_attempt=True)
            return
        await self._save(
            _failed(
                SyncError(
                    f"An error that nobody foresaw ended the last attempt too ({type(bug).__name__}); "
                    "the worker's log has its trace."
                )
            )
        )

    async def _end(self) -> ItemEnd:
        """Analyse, and say how the item ends. Errors that another attempt may mend are raised."""
        item, policy = self.begun.item, self.its.policy
        if item.attempt > policy.max_attempts:
            return _failed(
                AttemptsExhausted(
                    f"The item was begun {policy.max_attempts} times, and each time the worker died or lost it. "
                    f"Look for damage in {item.request.master_file} and {item.request.dub_file}."
                )
            )
        try:
            result = await self._analyse_with_heartbeat()
        except LeaseLost:
            raise
        except TransientError as error:
            if error.blames_item and item.attempt >= policy.max_attempts:
                return _failed(error)
            raise
        except SyncError as error:
            return _failed(error)
        if result is None:
            return ItemEnd(ItemStatus.CANCELLED)
        return await self._completed(replace(result, analysis_id=item.analysis_id))

    async def _analyse_with_heartbeat(self) -> AnalysisResult | None:
        """Run the analysis while the lease is renewed beside it; None if the batch was cancelled meanwhile."""
        analysis = asyncio.create_task(self._analyse())
        heartbeat = asyncio.create_task(self._renew_until_cancelled())
        try:
            await asyncio.wait((analysis, heartbeat), return_when=asyncio.FIRST_COMPLETED)
            if analysis.done():
                return analysis.result()
            heartbeat.result()
            return None
        finally:
            await _stop(analysis, heartbeat)

    async def _analyse(self) -> AnalysisResult:
        request, limit = self.begun.item.request, self.its.policy.timeout_seconds
        try:
            async with asyncio.timeout(limit) as timer:
                master, dub = await self._pinned(request)
                asked = AnalysisRequest(master, dub, request.methods, request.ai_model, request.per_channel)
                return await self.its.analyzer.analyze(asked, self._note)
        except TimeoutError:
            if not timer.expired():
                raise
            raise AnalysisTimeout(
                f"The analysis of {request.dub_file} took longer than {limit:g} s; "
                "raise SYNC_ANALYSIS_TIMEOUT_SECONDS if the files are that long."
            ) from None

    async def _pinned(self, request: ItemRequest) -> tuple[str, str]:
        """Give the files to read; the first attempt pins those in S3, and the next ones find that in the request."""
        its = self.its
        if its.media is None or request.pinned:
            return request.files
        master, dub = [str(await its.media.pin(parse_media_ref(text))) for text in request.files]
        if (master, dub) != request.files:
            self.lease, self.batch_cancelled = await its.store.renew(
                self.lease,
                now=its.clock.now(),
                lease_seconds=its.policy.lease_seconds,
                request=replace(request, pinned=(master, dub)),
            )
        return master, dub

    def _note(self, progress: Progress) -> None:
        self.progress = progress
        self.its.on_progress(self.begun, progress)

    async def _renew_until_cancelled(self) -> None:
        """Renew lease and visibility; returns when the batch is cancelled, raises when the lease is lost.

        Storage trouble is endured as long as the lease lasts: after that somebody else may hold the item.
        """
        its, policy = self.its, self.its.policy
        pause = min(_FIRST_HEARTBEAT_SECONDS, policy.heartbeat_seconds)
        while not self.batch_cancelled:
            await its.clock.sleep(pause)
            pause = policy.heartbeat_seconds
            try:
                self.lease, self.batch_cancelled = await its.store.renew(
                    self.lease, now=its.clock.now(), lease_seconds=policy.lease_seconds, progress=self._item_progress()
                )
                await its.queue.extend(self.delivery, visibility_seconds=policy.lease_seconds)
                self._log_heartbeat()
            except TransientError as error:
                log.warning("heartbeat failed: %s", error, extra=self.fields)
                if its.clock.now() >= self.lease.until:
                    raise LeaseLost(
                        f"The lease of {self.begun.item.item_id} ran out while it could not be renewed."
                    ) from error

    def _log_heartbeat(self) -> None:
        at = self._item_progress()
        stage, percent = (at.stage, at.percent) if at else (AnalysisStage.QUEUED.value, 0.0)
        log.info("heartbeat", extra={**self.fields, "stage": stage, "percent": percent})

    def _item_progress(self) -> ItemProgress | None:
        if self.progress is None:
            return None
        return ItemProgress(self.progress.stage.value, round(100 * self.progress.fraction, 1))

    async def _completed(self, result: AnalysisResult) -> ItemEnd:
        """Store the report under a name that no other attempt uses, and make the end that points to it."""
        item = self.begun.item
        self._note(Progress(AnalysisStage.REPORTING, 1.0))
        document = result_document(result)
        self.report_key = report_key(item.batch_id, item.index, self.lease.fence)
        report = {"batch_id": item.batch_id, "item_id": item.item_id, "attempt": item.attempt, "result": document}
        await self.its.reports.put(self.report_key, json.dumps(report, indent=1).encode())
        confidence = result.confidence if result.offset_seconds is not None else None
        return ItemEnd(ItemStatus.COMPLETED, document, confidence, report_key=self.report_key)

    async def _withdraw_report(self) -> None:
        """Remove the report of an attempt that came too late; its name is this lease's own."""
        if self.report_key is not None:
            with suppress(TransientError):
                await self.its.reports.discard(self.report_key, keep=None)

    async def _save(self, end: ItemEnd) -> Outcome:
        its = self.its
        change = await self._finish(end)
        await its.queue.send(messages_for(change.batch, change.claimed, trace=self.delivery.message.trace))
        await its.tidy(self.begun.item, keep=end.report_key)
        await its.queue.delete(self.delivery)
        log.info("item %s", end.status, extra={**self.fields, "error_code": end.error_code})
        return Outcome.SAVED

    async def _finish(self, end: ItemEnd) -> Change:
        """Store the end; an ambiguous commit is repeated, which the fence makes harmless."""
        its = self.its
        for pause in (0.1, 0.4, 1.6):
            try:
                return await its.store.finish(self.lease, end, now=its.clock.now())
            except (StorageUnavailable, Throttled) as error:
                log.warning("the end could not be stored yet: %s", error, extra=self.fields)
                await its.clock.sleep(pause)
        return await its.store.finish(self.lease, end, now=its.clock.now())

    async def release(self, *, count_attempt: bool, delay_seconds: float | None = None) -> None:
        """Give the item back; its message becomes visible after the back-off. Failing at that only costs time.

        The back-off goes by the receipts, which also count attempts that are not the item's fault: an outage must not
        use up the queue's receive limit.
        """
        delay = self.its.policy.backoff_seconds(self.delivery.receive_count) if delay_seconds is None else delay_seconds
        try:
            await self.its.store.release(
                self.lease, now=self.its.clock.now(), count_attempt=count_attempt, delay_seconds=delay
            )
            await self.its.queue.extend(self.delivery, visibility_seconds=delay)
        except (LeaseLost, TransientError) as error:
            log.warning("could not release, the lease will run out: %s", error, extra=self.fields)


def _failed(error: SyncError) -> ItemEnd:
    return ItemEnd(ItemStatus.FAILED, error=error.message, error_code=error.code)


async def _stop(*tasks: asyncio.Task[AnalysisResult] | asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
