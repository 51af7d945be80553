"""One pair of files from end to end, in this process: find, decode, compare, put the answer together."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import sync_core.pipeline.numeric_runtime  # isort: skip  # noqa: F401  must come before numpy

from sync_core.analysis.compare import Estimate, compare
from sync_core.analysis.track import Track
from sync_core.domain.errors import MethodUnavailable, OutOfMemory, StorageUnavailable
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_AI_MODEL, DEFAULT_METHODS, Depth, Method, label
from sync_core.domain.result import AnalysisResult, AnalysisStage, ChannelOffset, MethodResult, Progress
from sync_core.jobs.ports.analyzer import AnalysisRequest, OnProgress
from sync_core.media.locate import Locate, nowhere
from sync_core.pipeline.ai_settings import ON_THE_CPU, AiSettings, why_unavailable
from sync_core.pipeline.assemble import assemble
from sync_core.pipeline.load_pair import load_pair
from sync_core.pipeline.load_track import Loaded
from sync_core.pipeline.sources import Source, find_source

if TYPE_CHECKING:
    from sync_core.pipeline.ai import Prepared
    from sync_core.pipeline.decoder_process import DecoderProcess
    from sync_core.pipeline.quick import Sampled

_DECODED = 0.6
_MIX_COMPARED = 0.8
"""Fractions of the item at which its stages end; with single channels to compare, the mix is done at the second."""
_EMBEDDED = 0.5
"""Fraction of a comparison up to which models embed, where the ai method was asked for."""
_REFINING_FROM = 0.7
"""Fraction of a comparison from which on it refines."""


def compare_files(
    request: AnalysisRequest,
    *,
    policy: MediaPolicy,
    tolerance_seconds: float | None = None,
    ai: AiSettings = ON_THE_CPU,
    on_progress: OnProgress,
    spool_folder: Path | None = None,
    locate: Locate = nowhere,
    decoder: DecoderProcess | None = None,
) -> AnalysisResult:
    """Compare a dub with its master.

    Parameters
    ----------
    policy
        Which files may be read.
    tolerance_seconds
        Up to this offset a pair is in sync; None: one video frame of the master, else of the dub, else 40 ms.
    ai
        Where the ai method finds its models, and what they may use.
    on_progress
        Called at least once a second. What it raises passes through and stops the work.
    spool_folder
        Where the decoded audio lies meanwhile, 230 MB per hour and file, in a folder of its own that is always removed;
        None: the system's folder for temporary files.
    locate
        Gives addresses for objects in S3; called on other threads, several at once.
    decoder
        A process that was started ahead, to decode the dub; None: one is started if the dub is long.

    Raises
    ------
    InvalidMediaReference, MediaError
        For a file that cannot be analysed; the message names it.
    MethodUnavailable
        If none of the methods asked for can run here.
    DeviceBroken
        If the GPU can no longer be used by this process.
    StorageUnavailable, OutOfMemory
        If the machine lacks room.
    """
    unavailable = _unavailable_methods(request, ai)
    master, dub = (find_source(text, policy, locate) for text in (request.master_file, request.dub_file))
    try:
        sampled = _sampled(request, master, dub, on_progress)
        if sampled:
            return _assembled(request, sampled.estimate, (sampled.master, sampled.dub), (), tolerance_seconds, ())
        with tempfile.TemporaryDirectory(prefix="sync-", dir=spool_folder) as spool:
            loaded = load_pair(
                master,
                dub,
                Path(spool),
                per_channel=request.per_channel,
                on_progress=_stage(on_progress, AnalysisStage.DECODING, 0.0, _DECODED),
                decoder=decoder,
            )
            return _answer(request, loaded, unavailable, tolerance_seconds, ai, on_progress)
    except MemoryError as error:
        raise OutOfMemory(f"not enough memory to compare {request.master_file} with {request.dub_file}") from error
    except OSError as error:
        folder = spool_folder or tempfile.gettempdir()
        raise StorageUnavailable(f"decoded audio could not be kept in {folder}: {error.strerror}") from error


def _sampled(request: AnalysisRequest, master: Source, dub: Source, on_progress: OnProgress) -> Sampled | None:
    """Compare parts of the pair, if that was asked for and can be done; models and single channels need all of it."""
    if request.depth is not Depth.QUICK or request.per_channel or Method.AI in request.methods:
        return None
    from sync_core.pipeline.quick import compare_sampled

    methods = tuple(dict.fromkeys(request.methods))
    return compare_sampled(master, dub, methods, on_progress=_comparing(on_progress, 0.0, 1.0))


def _unavailable_methods(request: AnalysisRequest, ai: AiSettings) -> tuple[MethodResult, ...]:
    """Answer for the ai method if its model cannot run here, as long as others can."""
    model = request.ai_model or DEFAULT_AI_MODEL
    if not request.methods:
        raise MethodUnavailable(f"no method was given; ask for {', '.join(Method)}")
    reason = why_unavailable(ai, model) if Method.AI in request.methods else None
    if reason is None:
        return ()
    if set(request.methods) == {Method.AI}:
        raise MethodUnavailable(f"{reason} Or ask for {', '.join(DEFAULT_METHODS)}.")
    return (MethodResult(Method.AI, label(Method.AI, model), None, None, 0.0, ok=False, error=reason),)


def _answer(
    request: AnalysisRequest,
    loaded: tuple[Loaded, Loaded],
    unavailable: tuple[MethodResult, ...],
    tolerance_seconds: float | None,
    ai: AiSettings,
    on_progress: OnProgress,
) -> AnalysisResult:
    master, dub = loaded
    absent = {result.method for result in unavailable}
    runnable = [method for method in dict.fromkeys(request.methods) if method not in absent]
    comparison = _Comparison(request, runnable, ai)
    mix_done = _MIX_COMPARED if dub.channels else 1.0
    estimate = comparison.run(master.mix, dub.mix, on_progress, _DECODED, mix_done)
    offsets: list[ChannelOffset] = []
    for index, (name, track) in enumerate(dub.channels):
        share = (1.0 - mix_done) / len(dub.channels)
        begin = mix_done + index * share
        single = comparison.run(master.mix, track, on_progress, begin, begin + share)
        offsets.append(ChannelOffset(name, single.offset_seconds, single.confidence))
    return _assembled(request, estimate, loaded, unavailable, tolerance_seconds, tuple(offsets))


def _assembled(
    request: AnalysisRequest,
    estimate: Estimate,
    loaded: tuple[Loaded, Loaded],
    unavailable: tuple[MethodResult, ...],
    tolerance_seconds: float | None,
    channel_offsets: tuple[ChannelOffset, ...],
) -> AnalysisResult:
    return assemble(
        estimate,
        *loaded,
        order=tuple(dict.fromkeys(request.methods)),
        unavailable=unavailable,
        ai_model=request.ai_model or DEFAULT_AI_MODEL,
        tolerance_seconds=tolerance_seconds,
        channel_offsets=channel_offsets,
    )


class _Comparison:
    """Compares tracks by the methods of one request."""

    def __init__(self, request: AnalysisRequest, methods: Sequence[Method], ai: AiSettings) -> None:
        self.model = request.ai_model or DEFAULT_AI_MODEL
        self._methods = methods
        self._ai = ai

    def run(self, master: Track, dub: Track, on_progress: OnProgress, begin: float, end: float) -> Estimate:
        """Compare two tracks; the ai method's notes are added to the estimate's."""
        middle = begin + _EMBEDDED * (end - begin) if Method.AI in self._methods else begin
        prepared = self._prepared(master, dub, _stage(on_progress, AnalysisStage.COMPARING, begin, middle))
        estimate = compare(
            master,
            dub,
            self._methods,
            ai=prepared.method if prepared else None,
            on_progress=_comparing(on_progress, middle, end),
        )
        return replace(estimate, notes=(*estimate.notes, *prepared.notes)) if prepared else estimate

    def _prepared(self, master: Track, dub: Track, on_progress: Callable[[float], None]) -> Prepared | None:
        if Method.AI not in self._methods:
            return None
        from sync_core.pipeline.ai import prepare  # the models' code, which other methods need not wait for

        return prepare(self._ai, self.model, master, dub, on_progress)


def _stage(on_progress: OnProgress, stage: AnalysisStage, begin: float, end: float) -> Callable[[float], None]:
    return lambda fraction: on_progress(Progress(stage, begin + (end - begin) * fraction))


def _comparing(on_progress: OnProgress, begin: float, end: float) -> Callable[[float], None]:
    comparing = _stage(on_progress, AnalysisStage.COMPARING, begin, end)
    refining = _stage(on_progress, AnalysisStage.REFINING, begin, end)
    return lambda fraction: (refining if fraction > _REFINING_FROM else comparing)(fraction)
