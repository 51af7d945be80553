"""Decoding both files of a pair at once, each into a track."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sync_core.media.decode import AudioReader
from sync_core.pipeline.load_track import Loaded, LoadOrder, Spans, Stopped, load_if_shorter, load_parts, load_track
from sync_core.pipeline.sources import LocalSource, Source

if TYPE_CHECKING:
    from sync_core.pipeline.decoder_process import DecoderProcess

_Load = Callable[[Callable[[], bool], Callable[[float], None]], Loaded]

APART_SECONDS: Final = 600.0
"""From this length on decoding in a process of its own wins back the process's start."""

_TICK_SECONDS = 0.25
"""How often progress is told while the files are decoded."""


def load_pair(
    master: Source,
    dub: Source,
    spool: Path,
    *,
    per_channel: bool,
    on_progress: Callable[[float], None],
    decoder: DecoderProcess | None = None,
) -> tuple[Loaded, Loaded]:
    """Decode master and dub at the same time; a file that is compared with itself is decoded once.

    Parameters
    ----------
    spool
        Folder for the decoded audio; must outlive the tracks.
    per_channel
        Make tracks of the dub's single channels too.
    on_progress
        Called on this thread, several times a second, with the fraction done. What it raises stops the decoding.
    decoder
        A process that was started ahead, to decode the dub; None: one is started if the dub is long.

    Raises
    ------
    MediaError
        Of the master, if both files fail.
    DecoderCrashed
        If a process that decoded one of them died over it.
    """
    ours = LoadOrder(dub, spool / "dub", per_channel)
    if master.identity == dub.identity:
        (loaded,) = _run([_Job(partial(load_track, ours))], on_progress)
        return loaded, loaded
    jobs = [_Job(partial(load_track, LoadOrder(master, spool / "master"))), _Job(partial(_load_dub, decoder, ours))]
    first, other = _run(jobs, on_progress)
    return first, other


def seconds_at_hand(source: Source) -> float | None:
    """Tell how long the audio of a file is of which parts can be decoded; None for any other.

    Raises
    ------
    MediaError
        As `AudioReader` says.
    """
    if not isinstance(source, LocalSource):
        return None
    with _reader(source) as reader:
        return reader.info.duration_seconds if reader.finds_times else None


def load_spans(wanted: Sequence[tuple[Source, Spans]], *, on_progress: Callable[[float], None]) -> list[Loaded]:
    """Decode parts of files at the same time; the rest of each track is silence.

    Raises
    ------
    MediaError
        Of the first file that fails.
    """
    return _run([_Job(partial(load_parts, source, spans)) for source, spans in wanted], on_progress)


def _load_dub(
    decoder: DecoderProcess | None,
    order: LoadOrder,
    is_over: Callable[[], bool],
    on_fraction: Callable[[float], None],
) -> Loaded:
    """Decode in another process what is worth it, beside the master's decoding here."""
    if decoder is None and not isinstance(order.source, LocalSource):
        return load_track(order, is_over, on_fraction)
    loaded = None if decoder else load_if_shorter(order, is_over, on_fraction, APART_SECONDS)
    if loaded:
        return loaded
    from sync_core.pipeline.load_apart import load_apart

    return load_apart(order, is_over, on_fraction, decoder)


def _reader(source: LocalSource) -> AudioReader:
    return AudioReader(source.path, str(source.ref), stream=source.ref.stream, channel=source.ref.channel)


def _run(jobs: list[_Job], on_progress: Callable[[float], None]) -> list[Loaded]:
    stop = threading.Event()
    with ThreadPoolExecutor(len(jobs), thread_name_prefix="decode") as pool:
        futures = [pool.submit(job.run, stop) for job in jobs]
        try:
            _watch(futures, jobs, on_progress)
        finally:
            stop.set()
    for error in (future.exception() for future in futures):
        if error is not None and not isinstance(error, Stopped):
            raise error
    return [future.result() for future in futures]


def _watch(futures: list[Future[Loaded]], jobs: list[_Job], on_progress: Callable[[float], None]) -> None:
    """Tell progress until all are done or one has failed."""
    pending = set(futures)
    while pending:
        done, pending = wait(pending, timeout=_TICK_SECONDS)
        if any(future.exception() for future in done):
            return
        on_progress(sum(job.fraction for job in jobs) / len(jobs))


class _Job:
    """The decoding of one file, on a thread of its own, which may leave it to a process."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self.fraction = 0.0

    def run(self, stop: threading.Event) -> Loaded:
        return self._load(stop.is_set, self._note)

    def _note(self, fraction: float) -> None:
        self.fraction = fraction
