"""What the worker and the child processes that compare pairs say to each other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sync_core.domain.errors import SyncError
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import AiModel
from sync_core.domain.result import AnalysisResult, Progress
from sync_core.jobs.ports.analyzer import AnalysisRequest
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.lending import AddressLent, AddressWanted


@dataclass(frozen=True, slots=True)
class Task:
    """To the child: compare this pair."""

    request: AnalysisRequest
    policy: MediaPolicy
    tolerance_seconds: float | None
    spool_folder: Path
    ai: AiSettings


@dataclass(frozen=True, slots=True)
class Warm:
    """To the child: get ready for these models."""

    ai: AiSettings
    models: tuple[AiModel, ...]


@dataclass(frozen=True, slots=True)
class Warmed:
    """From the child: everything is loaded, but for the models that these sentences are about."""

    troubles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """From the child: the answer."""

    result: AnalysisResult


@dataclass(frozen=True, slots=True)
class Failed:
    """From the child: an error that was raised on purpose."""

    error: SyncError


@dataclass(frozen=True, slots=True)
class Bug:
    """From the child: an error that nobody foresaw, with its traceback as text."""

    traceback: str


Message = Task | Warm | Warmed | Progress | Done | Failed | Bug | AddressWanted | AddressLent
