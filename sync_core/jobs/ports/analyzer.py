"""What turns a pair of media files into a result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from sync_core.domain.methods import AiModel, Depth, Method
from sync_core.domain.result import AnalysisResult, Progress

OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class AnalysisRequest:
    """What to compare. Files are media references as text; the analyzer checks them against its own policy."""

    master_file: str
    dub_file: str
    methods: tuple[Method, ...]
    ai_model: AiModel | None = None
    per_channel: bool = False
    depth: Depth = Depth.FULL


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an analyzer can run where it is; `unavailable` gives the reason per method or `ai:<model>`."""

    device: str
    methods: tuple[Method, ...]
    ai_models: tuple[str, ...]
    unavailable: dict[str, str]


class Analyzer(Protocol):
    """Analyses one pair at a time per call; several calls may run at once.

    Cancelling the call stops the work within a second.
    """

    @property
    def capabilities(self) -> Capabilities: ...

    def analyze(self, request: AnalysisRequest, on_progress: OnProgress) -> Awaitable[AnalysisResult]:
        """Compare the pair; `on_progress` is called at least once a second of work.

        Raises
        ------
        MediaError
            For the file's fault; its message names the file.
        AnalysisError
            Where the analysis cannot be done.
        TransientError
            Where trying again may help: a crashed or stuck decoder, memory.
        """
        ...

    async def close(self) -> None:
        """End child processes."""
        ...
