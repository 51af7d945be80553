"""The `ai` method as the pipeline sees it: a pair's embeddings from a model that is installed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, TypeVar

import numpy as np

from sync_core.analysis import correlation, mel
from sync_core.analysis.methods.base import OffsetMethod
from sync_core.analysis.methods.registry import AVAILABLE
from sync_core.analysis.track import Track
from sync_core.domain.methods import AiModel, Method, label
from sync_core.models.device import CPU
from sync_core.models.directory import ModelDirectory
from sync_core.models.embedder import Embedder
from sync_core.models.errors import DeviceFull
from sync_core.models.opening import open_embedder
from sync_core.pipeline.ai_embedding import Coverage, OnProgress, embed_pair
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.remote_embedder import RemoteEmbedder

log = logging.getLogger(__name__)

_TICK_SECONDS: Final = 0.5
_COARSE_PEAKS: Final = 2
_COARSE_SHARE: Final = 0.1
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The `ai` method for one pair, and sentences about what it is made of."""

    method: OffsetMethod
    notes: tuple[str, ...]


def prepare(settings: AiSettings, model: AiModel, master: Track, dub: Track, on_progress: OnProgress) -> Prepared:
    """Embed a pair of tracks.

    Parameters
    ----------
    on_progress
        Called on this thread, twice a second, with the fraction done. What it raises passes through; a model that is
        at work then stops after the window that it is in.

    Raises
    ------
    ModelUnusable
        If the model's files are absent or damaged.
    DeviceBroken
        If the GPU failed for good in this process, which must be replaced.
    """
    return _ticking(lambda tell: _prepare(settings, model, master, dub, tell), on_progress)


def _prepare(settings: AiSettings, model: AiModel, master: Track, dub: Track, on_progress: OnProgress) -> Prepared:
    reason = settings.device_reason
    if model is not AiModel.SPECTRAL and (settings.device != CPU or settings.server):
        try:
            return _embedded(settings, model, master, dub, on_progress)
        except DeviceFull as error:
            log.warning("%s; going on with windows on the CPU", error.message)
            reason = f"{error.message}."
    prepared = _embedded(replace(settings, device=CPU, server=None), model, master, dub, on_progress)
    told = (reason,) if reason and model is not AiModel.SPECTRAL else ()
    return Prepared(prepared.method, (*prepared.notes, *told))


def _embedded(settings: AiSettings, model: AiModel, master: Track, dub: Track, on_progress: OnProgress) -> Prepared:
    with _embedder(model, settings) as embedder:
        return _embedded_by(embedder, settings, model, master, dub, on_progress)


def _embedded_by(
    embedder: Embedder, settings: AiSettings, model: AiModel, master: Track, dub: Track, on_progress: OnProgress
) -> Prepared:
    limited = embedder.device == CPU and model is not AiModel.SPECTRAL
    begin = _COARSE_SHARE if limited else 0.0
    lags = coarse_lags(master, dub, lambda part: on_progress(begin * part)) if limited else ()
    method, coverage = embed_pair(
        embedder,
        master,
        dub,
        lags_seconds=lags,
        budget_seconds=settings.budget_seconds if limited else None,
        on_progress=lambda part: on_progress(begin + (1.0 - begin) * part),
    )
    return Prepared(method, (_note(model, embedder, coverage, settings),))


@contextmanager
def _embedder(model: AiModel, settings: AiSettings) -> Iterator[Embedder]:
    """Borrow a model: from the process that runs it for all, or one that this process keeps."""
    if settings.server is None or model is AiModel.SPECTRAL:
        yield _opened(model, settings)
        return
    with RemoteEmbedder.connected(settings.server, model, settings) as embedder:
        yield embedder


@cache
def _opened(model: AiModel, settings: AiSettings) -> Embedder:
    return open_embedder(
        model,
        ModelDirectory(settings.model_dir),
        device=settings.device,
        hidden_layer=settings.hidden_layer,
        cpu_threads=settings.cpu_threads,
    )


def warm(settings: AiSettings, model: AiModel) -> None:
    """Load a model and run it once, so that the first pair does not wait for that.

    Raises
    ------
    ModelUnusable, DeviceFull, DeviceBroken
        As the first pair would meet them.
    """
    with _embedder(model, settings) as embedder:
        embedder.embed(np.zeros(2 * embedder.geometry.window_samples, np.float32))


def coarse_lags(master: Track, dub: Track, on_progress: OnProgress) -> tuple[float, ...]:
    """Find where a dub may lie by the cheapest means, best first, in seconds of sample time."""
    method = AVAILABLE[Method.SPECTRAL]
    one, other = method.features(master), method.features(dub)
    dims = len(one.values)
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        on_progress(done / dims)

    if not one.values.size or not other.values.size:
        return ()
    scores = correlation.score_lags(one, other, on_dims=advance)
    picked = [
        peak.lag_hops * mel.HOP_SAMPLES / 16_000
        for kind in (scores.sharp, scores.plain)
        for peak in correlation.peaks(kind, scores.first_lag, _COARSE_PEAKS)
    ]
    return tuple(dict.fromkeys(picked))


def _note(model: AiModel, embedder: Embedder, coverage: Coverage, settings: AiSettings) -> str:
    name = label(Method.AI, model)
    if coverage.whole:
        return f"{name} looked at the whole of both files, on {embedder.device}."
    return (
        f"{name} looked at {coverage.master_seconds:.0f} s of the master and {coverage.dub_seconds:.0f} s of the dub, "
        f"on {embedder.device}, within its budget of {settings.budget_seconds:g} s."
    )


class _Stopped(Exception):
    """Nobody waits for the work any more."""


def _ticking(work: Callable[[OnProgress], _Result], on_progress: OnProgress) -> _Result:
    """Do work on another thread, and tell its progress on this one, however long its steps are."""
    stop = threading.Event()
    told = [0.0]

    def tell(fraction: float) -> None:
        if stop.is_set():
            raise _Stopped
        told[0] = fraction

    pool = ThreadPoolExecutor(1, thread_name_prefix="embed")
    future = pool.submit(work, tell)
    try:
        while not wait([future], timeout=_TICK_SECONDS).done:
            on_progress(told[0])
        return future.result()
    finally:
        stop.set()
        pool.shutdown(wait=False)
