"""An analyzer that does what the test says."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.result import AnalysisResult, Verdict
from sync_core.jobs.ports.analyzer import AnalysisRequest, Capabilities, OnProgress

Act = Callable[[AnalysisRequest, OnProgress], Awaitable[AnalysisResult]]


def found(offset_seconds: float | None = -2.456, *, confidence: float = 0.9) -> AnalysisResult:
    """Make a result; without an offset it is a refusal."""
    matched = offset_seconds is not None
    return AnalysisResult(
        verdict=Verdict.OFFSET if matched else Verdict.NO_MATCH,
        offset_seconds=offset_seconds,
        confidence=confidence,
        method_used="MFCC" if matched else None,
        precision_seconds=0.001 if matched else None,
        speed_ratio=1.0 if matched else None,
        drift_ppm=0.0 if matched else None,
        rate_label=None,
        segments=(),
        candidates=(),
        methods=(),
        frames=None,
        timecode=None,
        media={},
    )


def answers(result: AnalysisResult) -> Act:
    async def act(_request: AnalysisRequest, _on_progress: OnProgress) -> AnalysisResult:
        return result

    return act


def raises(error: BaseException) -> Act:
    async def act(_request: AnalysisRequest, _on_progress: OnProgress) -> AnalysisResult:
        raise error

    return act


def never_ends() -> Act:
    async def act(_request: AnalysisRequest, _on_progress: OnProgress) -> AnalysisResult:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    return act


class ScriptedAnalyzer:
    """Plays the acts of a dub one after the other, the last one for ever; a dub without any is found at once.

    `running` tells which dubs are being analysed just now, `most_running` how many there were at most; `cancelled`
    lists those that were stopped.
    """

    capabilities = Capabilities("cpu", DEFAULT_METHODS, (), {"ai": "No model is installed."})

    def __init__(self, default: Act | None = None) -> None:
        self.default = default or answers(found())
        self.calls: list[str] = []
        self.running: list[str] = []
        self.cancelled: list[str] = []
        self.most_running = 0
        self.begun = asyncio.Event()
        self._acts: dict[str, list[Act]] = defaultdict(list)

    def will(self, dub_file: str, *acts: Act) -> None:
        self._acts[dub_file] = list(acts)

    async def analyze(self, request: AnalysisRequest, on_progress: OnProgress) -> AnalysisResult:
        dub = request.dub_file
        self.calls.append(dub)
        self.running.append(dub)
        self.most_running = max(self.most_running, len(self.running))
        self.begun.set()
        try:
            return await self._next_act(dub)(request, on_progress)
        except asyncio.CancelledError:
            self.cancelled.append(dub)
            raise
        finally:
            self.running.remove(dub)

    def _next_act(self, dub: str) -> Act:
        acts = self._acts[dub]
        if not acts:
            return self.default
        return acts.pop(0) if len(acts) > 1 else acts[0]

    async def close(self) -> None:
        pass
