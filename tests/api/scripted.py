"""An analyzer that does as the name of the dub says, at once."""

from __future__ import annotations

import asyncio
import threading

from sync_core.domain.errors import MediaNotFound
from sync_core.domain.methods import Method, label
from sync_core.domain.result import (
    AnalysisResult,
    AnalysisStage,
    MediaInfo,
    MethodResult,
    Progress,
    Segment,
    SegmentKind,
    Verdict,
)
from sync_core.jobs.ports.analyzer import AnalysisRequest, Capabilities, OnProgress

OFFSET_SECONDS = -15.023
CONFIDENCE = 0.981


class ScriptedAnalyzer:
    """`missing` in the dub's name: the file is not there; `unrelated`: no match; `held`: waits until `let_go`."""

    def __init__(self) -> None:
        self.released = threading.Event()
        self.capabilities = Capabilities(
            device="cpu",
            methods=(Method.MFCC, Method.ONSET, Method.SPECTRAL),
            ai_models=(),
            unavailable={"ai": "No AI model is installed."},
        )

    def let_go(self) -> None:
        self.released.set()

    async def analyze(self, request: AnalysisRequest, on_progress: OnProgress) -> AnalysisResult:
        on_progress(Progress(AnalysisStage.COMPARING, 0.4))
        if "missing" in request.dub_file:
            raise MediaNotFound(f"{request.dub_file} does not exist.")
        while "held" in request.dub_file and not self.released.is_set():
            await asyncio.sleep(0.02)
        return no_match(request) if "unrelated" in request.dub_file else match(request)

    async def close(self) -> None:
        pass


def match(request: AnalysisRequest) -> AnalysisResult:
    name = label(request.methods[-1], request.ai_model)
    return AnalysisResult(
        verdict=Verdict.OFFSET,
        offset_seconds=OFFSET_SECONDS,
        confidence=CONFIDENCE,
        method_used=name,
        precision_seconds=0.0005,
        speed_ratio=1.0,
        drift_ppm=0.0,
        rate_label=None,
        segments=(Segment(0.0, 60.0, OFFSET_SECONDS, 1.0, CONFIDENCE, SegmentKind.PROGRAMME),),
        candidates=(),
        methods=(MethodResult(request.methods[-1], name, OFFSET_SECONDS, 40.0, CONFIDENCE, ok=True),),
        frames=None,
        timecode=None,
        media={"master": _media(request.master_file), "dub": _media(request.dub_file)},
    )


def no_match(request: AnalysisRequest) -> AnalysisResult:
    return AnalysisResult(
        verdict=Verdict.NO_MATCH,
        offset_seconds=None,
        confidence=0.02,
        method_used=None,
        precision_seconds=None,
        speed_ratio=None,
        drift_ppm=None,
        rate_label=None,
        segments=(),
        candidates=(),
        methods=(),
        frames=None,
        timecode=None,
        media={"master": _media(request.master_file), "dub": _media(request.dub_file)},
    )


def _media(path: str) -> MediaInfo:
    return MediaInfo(path, 60.0, "wav", (), 0, "downmix", 2, 48000, 0.0, None)
