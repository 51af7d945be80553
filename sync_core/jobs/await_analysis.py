"""Wait for the end of a one-pair analysis."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sync_core.domain.batch import Batch, Item, visible_status
from sync_core.domain.errors import SyncError
from sync_core.jobs.ports.batch_store import BatchStore
from sync_core.jobs.ports.clock import Clock

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.25


class AnalysisNotDone(SyncError):
    """The analysis did not end within the time that the caller would wait; it goes on."""

    code = "ANALYSIS_NOT_DONE"

    def __init__(self, message: str, analysis_id: str = "") -> None:
        super().__init__(message)
        self.analysis_id = analysis_id


@dataclass(frozen=True, slots=True)
class AwaitAnalysis:
    """Use case: look at an analysis until it has ended."""

    store: BatchStore
    clock: Clock

    async def until_ended(self, analysis_id: str, seconds: float) -> tuple[Batch, Item]:
        """Return the ended item with its batch.

        Raises
        ------
        NotFound
            If no item has this id.
        AnalysisNotDone
            If it has not ended after `seconds`.
        """
        deadline = self.clock.now() + timedelta(seconds=seconds)
        pause = _FIRST_PAUSE_SECONDS
        while True:
            batch, item = await self.store.find_analysis(analysis_id)
            if visible_status(item, batch).is_terminal:
                return batch, item
            left = (deadline - self.clock.now()).total_seconds()
            if left <= 0:
                raise AnalysisNotDone(
                    f"Analysis {analysis_id} was not done within {seconds:g} s and goes on; "
                    f"ask for it again at /api/v1/analysis/{analysis_id}.",
                    analysis_id,
                )
            await self.clock.sleep(min(pause, left))
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
