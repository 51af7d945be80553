"""One pair of files from end to end, in this process: find, decode, compare, put the answer together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import sync_core.pipeline.one_blas_thread  # isort: skip  # noqa: F401  must come before numpy

from sync_core.analysis.compare import compare
from sync_core.domain.errors import MethodUnavailable, OutOfMemory, StorageUnavailable
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_AI_MODEL, Method, label
from sync_core.domain.result import AnalysisResult, AnalysisStage, ChannelOffset, MethodResult, Progress
from sync_core.jobs.ports.analyzer import AnalysisRequest, OnProgress
from sync_core.pipeline.assemble import assemble
from sync_core.pipeline.capabilities import capabilities
from sync_core.pipeline.load_pair import Loaded, find_source, load_pair

_DECODED = 0.6
_MIX_COMPARED = 0.8
"""Fractions of the item at which its stages end; with single channels to compare, the mix is done at the second."""
_REFINING_FROM = 0.7
"""Fraction of a comparison from which on it refines."""


def compare_files(
    request: AnalysisRequest,
    *,
    policy: MediaPolicy,
    tolerance_seconds: float | None = None,
    on_progress: OnProgress,
    spool_folder: Path | None = None,
) -> AnalysisResult:
    """Compare a dub with its master.

    Parameters
    ----------
    policy
        Which files may be read.
    tolerance_seconds
        Up to this offset a pair is in sync; None: one video frame of the master, else of the dub, else 40 ms.
    on_progress
        Called at least once a second. What it raises passes through and stops the work.
    spool_folder
        Where the decoded audio lies meanwhile, 230 MB per hour and file, in a folder of its own that is always removed;
        None: the system's folder for temporary files.

    Raises
    ------
    InvalidMediaReference, MediaError
        For a file that cannot be analysed; the message names it.
    MethodUnavailable
        If none of the methods asked for can run here.
    StorageUnavailable, OutOfMemory
        If the machine lacks room.
    """
    unavailable = _unavailable_methods(request)
    master, dub = find_source(request.master_file, policy), find_source(request.dub_file, policy)
    try:
        with tempfile.TemporaryDirectory(prefix="sync-", dir=spool_folder) as spool:
            loaded = load_pair(
                master,
                dub,
                Path(spool),
                per_channel=request.per_channel,
                on_progress=_stage(on_progress, AnalysisStage.DECODING, 0.0, _DECODED),
            )
            return _answer(request, loaded, unavailable, tolerance_seconds, on_progress)
    except MemoryError as error:
        raise OutOfMemory(f"not enough memory to compare {request.master_file} with {request.dub_file}") from error
    except OSError as error:
        folder = spool_folder or tempfile.gettempdir()
        raise StorageUnavailable(f"decoded audio could not be kept in {folder}: {error.strerror}") from error


def _unavailable_methods(request: AnalysisRequest) -> tuple[MethodResult, ...]:
    """Answer for the methods that cannot run here, as long as others can."""
    here = capabilities()
    absent = [method for method in dict.fromkeys(request.methods) if method not in here.methods]
    results = tuple(_not_run(method, request, here.unavailable[method.value]) for method in absent)
    if len(absent) == len(set(request.methods)):
        reasons = "; ".join(f"{result.label} cannot run: {result.error}" for result in results) or "no method was given"
        raise MethodUnavailable(f"{reasons}; ask for {', '.join(here.methods)}")
    return results


def _not_run(method: Method, request: AnalysisRequest, reason: str) -> MethodResult:
    model = request.ai_model or DEFAULT_AI_MODEL
    return MethodResult(method, label(method, model), None, None, 0.0, ok=False, error=reason)


def _answer(
    request: AnalysisRequest,
    loaded: tuple[Loaded, Loaded],
    unavailable: tuple[MethodResult, ...],
    tolerance_seconds: float | None,
    on_progress: OnProgress,
) -> AnalysisResult:
    master, dub = loaded
    runnable = [method for method in dict.fromkeys(request.methods) if method in capabilities().methods]
    mix_done = _MIX_COMPARED if dub.channels else 1.0
    estimate = compare(master.mix, dub.mix, runnable, on_progress=_comparing(on_progress, _DECODED, mix_done))
    offsets: list[ChannelOffset] = []
    for index, (name, track) in enumerate(dub.channels):
        share = (1.0 - mix_done) / len(dub.channels)
        begin = mix_done + index * share
        single = compare(master.mix, track, runnable, on_progress=_comparing(on_progress, begin, begin + share))
        offsets.append(ChannelOffset(name, single.offset_seconds, single.confidence))
    return assemble(
        estimate,
        master,
        dub,
        order=tuple(dict.fromkeys(request.methods)),
        unavailable=unavailable,
        tolerance_seconds=tolerance_seconds,
        channel_offsets=tuple(offsets),
    )


def _stage(on_progress: OnProgress, stage: AnalysisStage, begin: float, end: float) -> Callable[[float], None]:
    return lambda fraction: on_progress(Progress(stage, begin + (end - begin) * fraction))


def _comparing(on_progress: OnProgress, begin: float, end: float) -> Callable[[float], None]:
    comparing = _stage(on_progress, AnalysisStage.COMPARING, begin, end)
    refining = _stage(on_progress, AnalysisStage.REFINING, begin, end)
    return lambda fraction: (refining if fraction > _REFINING_FROM else comparing)(fraction)
