"""Small pairs of files for the pipeline's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf

from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_METHODS, Method
from sync_core.domain.result import AnalysisResult, Progress
from sync_core.jobs.ports.analyzer import AnalysisRequest
from sync_core.pipeline.compare_files import compare_files
from tests.media.writing import RATE_HZ, bursts

SECONDS = 12.0
PROGRAMME = bursts(SECONDS)
UNRESTRICTED = MediaPolicy(unrestricted=True, relative_to="/")


def write_wav(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ) -> str:
    sf.write(path, samples, rate_hz, subtype="PCM_16")
    return str(path)


def late(seconds: float, samples: np.ndarray = PROGRAMME) -> np.ndarray:
    """The same, later by a whole number of samples; negative: earlier."""
    count = round(seconds * RATE_HZ)
    return np.concatenate([np.zeros(count, np.float32), samples]) if count >= 0 else samples[-count:]


def request(master: str, dub: str, methods: tuple[Method, ...] = DEFAULT_METHODS, **more: object) -> AnalysisRequest:
    return AnalysisRequest(master, dub, methods, **more)


def ignore(progress: Progress) -> None:
    pass


def compare(
    master: str, dub: str, *, on_progress: Callable[[Progress], None] = ignore, **more: object
) -> AnalysisResult:
    names = ("methods", "ai_model", "per_channel")
    asked = request(master, dub, **{name: more.pop(name) for name in names if name in more})
    return compare_files(asked, policy=UNRESTRICTED, on_progress=on_progress, **more)
