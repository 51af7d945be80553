"""A worker process whose analyzer does nothing, so that what is measured is everything around the analysis.

SYNC_BENCH_ITEM_SECONDS is how long it does nothing for each item.
"""

from __future__ import annotations

import asyncio
import os

from handlers.backends import open_configured
from handlers.logs import set_up_logging
from handlers.settings import WorkerSettings, read_settings
from handlers.worker import run_worker
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.result import AnalysisResult, MediaInfo, MethodResult, Segment, SegmentKind, Verdict
from sync_core.jobs.ports.analyzer import AnalysisRequest, Capabilities, OnProgress

_OFFSET_SECONDS = -2.456
_ITEM_SECONDS = float(os.environ.get("SYNC_BENCH_ITEM_SECONDS", "0"))


class NullAnalyzer:
    """Answers at once, or after a while, with a result as large as a real one."""

    capabilities = Capabilities("cpu", DEFAULT_METHODS, (), {"ai": "This worker analyses nothing."})

    async def analyze(self, request: AnalysisRequest, on_progress: OnProgress) -> AnalysisResult:
        await asyncio.sleep(_ITEM_SECONDS)
        return AnalysisResult(
            verdict=Verdict.OFFSET,
            offset_seconds=_OFFSET_SECONDS,
            confidence=0.97,
            method_used="MFCC",
            precision_seconds=0.0001,
            speed_ratio=1.0,
            drift_ppm=0.0,
            rate_label=None,
            segments=(Segment(0.0, 1200.0, _OFFSET_SECONDS, 1.0, 0.97, SegmentKind.PROGRAMME),),
            candidates=(),
            methods=tuple(
                MethodResult(method, method.value, _OFFSET_SECONDS, 30.0, 0.97, ok=True) for method in DEFAULT_METHODS
            ),
            frames=None,
            timecode=None,
            media={"master": _media(request.master_file), "dub": _media(request.dub_file)},
        )

    async def close(self) -> None:
        pass


def _media(path: str) -> MediaInfo:
    return MediaInfo(path, 1200.0, "wav", (), 0, "mix", 2, 48_000, 0.0, None)


def main() -> None:
    settings = read_settings(WorkerSettings)
    set_up_logging(settings.log_level, settings.log_format)
    asyncio.run(run_worker(settings, open_configured(settings), NullAnalyzer()))


if __name__ == "__main__":
    main()
