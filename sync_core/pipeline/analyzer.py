"""The `Analyzer` port, kept by child processes: a crash in native code costs one attempt, not the worker."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from dataclasses import replace
from pathlib import Path

from sync_core.domain.errors import SyncError, TransientError
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import AiModel, Method
from sync_core.domain.result import AnalysisResult
from sync_core.jobs.ports.analyzer import AnalysisRequest, Capabilities, OnProgress
from sync_core.jobs.ports.media_objects import MediaObjects
from sync_core.models.device import CPU
from sync_core.models.errors import DeviceBroken
from sync_core.pipeline.ai_settings import ON_THE_CPU, AiSettings
from sync_core.pipeline.capabilities import capabilities
from sync_core.pipeline.child_process import AnalyzerBug, ChildProcess
from sync_core.pipeline.shared_models import SharedModels
from sync_core.pipeline.spool import Spool
from sync_core.pipeline.wire import Task

log = logging.getLogger(__name__)


class ProcessAnalyzer:
    """Compares pairs in child processes that are started ahead and used again. Belongs to one event loop.

    Parameters
    ----------
    policy
        Which files may be read.
    slots
        How many pairs at once; further calls wait.
    stall_seconds
        A child without progress for that long is killed.
    tolerance_seconds
        Up to this offset a pair is in sync; None: one video frame.
    tasks_per_child
        After so many a child is replaced, so that no leak in native code grows without end.
    spool_folder
        Where decoded audio lies meanwhile; None: the system's folder for temporary files.
    ai
        Where the ai method finds its models, and what they may use in one child.
    share_models
        Whether one process runs the models for all children; None: if they run on a GPU, of whose memory every
        process takes a part, and whose arithmetic is fastest on many pieces at once.
    media
        Gives the children addresses of objects in S3; None where nothing there can be read.
    """

    def __init__(
        self,
        *,
        policy: MediaPolicy,
        slots: int,
        stall_seconds: float = 60.0,
        tolerance_seconds: float | None = None,
        tasks_per_child: int = 100,
        spool_folder: Path | None = None,
        ai: AiSettings = ON_THE_CPU,
        share_models: bool | None = None,
        media: MediaObjects | None = None,
    ) -> None:
        self._policy = policy
        self._stall_seconds = stall_seconds
        self._tolerance_seconds = tolerance_seconds
        self._tasks_per_child = tasks_per_child
        self._slots = slots
        self._media = media
        self._ai = ai.resolved()
        self._capabilities = capabilities(self._ai)
        share = self._ai.device != CPU if share_models is None else share_models
        self._models = SharedModels() if share else None
        self._free_slots = asyncio.Semaphore(slots)
        self._spool = Spool(spool_folder)
        self._idle: list[ChildProcess] = []
        self._busy: set[ChildProcess] = set()
        self._closed = False

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def child_pids(self) -> tuple[int, ...]:
        """Process ids of the children, idle and busy."""
        return tuple(child.pid for child in (*self._idle, *self._busy))

    @property
    def model_server_pid(self) -> int | None:
        """Process id of what runs the models for all children, while there is one."""
        return self._models.pid if self._models else None

    async def warm_up(self) -> None:
        """Start all children and have them load what they need, the models too, so that no pair waits for that."""
        while len(self._idle) + len(self._busy) < self._slots:
            self._idle.append(await ChildProcess.start())
        installed = tuple(AiModel(name) for name in self._capabilities.ai_models)
        ai = self._with_server(self._ai)
        told = await asyncio.gather(*(child.warm(ai, installed) for child in self._idle))
        for trouble in dict.fromkeys(trouble for child in told for trouble in child):
            log.warning("%s", trouble)

    async def analyze(self, request: AnalysisRequest, on_progress: OnProgress) -> AnalysisResult:
        """Compare a pair, as `Analyzer` says.

        Raises
        ------
        AnalyzerBug
            For an error that nobody foresaw; it has been logged with the child's traceback.
        """
        async with self._free_slots:
            ai = self._with_server(self._ai) if _needs_a_network(request) else self._ai
            child = await self._take()
            folder = self._spool.make_folder()
            try:
                task = Task(request, self._policy, self._tolerance_seconds, folder, ai)
                result = await child.run(task, on_progress, stall_seconds=self._stall_seconds, media=self._media)
            except BaseException as error:
                await asyncio.shield(self._put_back(child, folder, usable=_is_of_the_pair(error)))
                if isinstance(error, DeviceBroken) and self._models and ai.server:
                    await self._models.discard(ai.server)
                _log_bug(error)
                raise
            await self._put_back(child, folder, usable=True)
            return result

    async def close(self) -> None:
        """End the children, busy ones too, and remove what they left."""
        self._closed = True
        children = [*self._idle, *self._busy]
        self._idle.clear()
        for child in children:
            await child.end()
        if self._models:
            await self._models.close()
        await asyncio.to_thread(self._spool.remove)

    def _with_server(self, ai: AiSettings) -> AiSettings:
        return replace(ai, server=self._models.address()) if self._models else ai

    async def _take(self) -> ChildProcess:
        child = None
        while child is None and self._idle:
            child = self._idle.pop()
            if not child.is_alive:
                await child.end()
                child = None
        child = child or await self._start()
        self._busy.add(child)
        return child

    async def _start(self) -> ChildProcess:
        child = await ChildProcess.start()
        if self._closed:  # perhaps while it was starting
            await child.end()
            raise TransientError("the analyzer was closed; have the pair compared by another worker")
        return child

    async def _put_back(self, child: ChildProcess, folder: Path, *, usable: bool) -> None:
        """Keep the child for the next pair, or put a fresh one in its place."""
        self._busy.discard(child)
        keep = usable and child.tasks_taken < self._tasks_per_child and not self._closed
        if keep:
            self._idle.append(child)
        else:
            await child.end()
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        if not keep and not self._closed:
            with contextlib.suppress(TransientError):
                self._idle.append(await self._start())


def _needs_a_network(request: AnalysisRequest) -> bool:
    return Method.AI in request.methods and request.ai_model is not AiModel.SPECTRAL


def _is_of_the_pair(error: BaseException) -> bool:
    """Tell whether the child itself reported the error and is fit for the next pair."""
    return isinstance(error, SyncError) and not isinstance(error, TransientError)


def _log_bug(error: BaseException) -> None:
    if isinstance(error, AnalyzerBug):
        log.error("the analysis met an unforeseen error:\n%s", error)
