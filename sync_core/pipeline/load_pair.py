"""Decoding both files of a pair at once, each into a track."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track, TrackBuilder
from sync_core.domain.media import MediaPolicy, MediaRef, MediaScheme, parse_media_ref
from sync_core.domain.result import MediaInfo
from sync_core.media.decode import AudioReader
from sync_core.media.files import resolve
from sync_core.media.interrupted import Interrupted
from sync_core.media.locate import Locate, nowhere
from sync_core.media.remote_file import RemoteFile

_TICK_SECONDS = 0.25
"""How often progress is told while the files are decoded."""
Spans = list[tuple[int, int]]
"""Parts of a file: whole seconds after its first sample, [start, stop), in order and apart."""

_SILENT_PEAK = 1e-5
"""-100 dB of full scale: nothing that could be heard or compared."""


class Source(Protocol):
    """A file that may be read: what the caller called it, and how it is opened."""

    @property
    def ref(self) -> MediaRef: ...

    @property
    def identity(self) -> Hashable:
        """What two sources have in common that give the same audio."""
        ...

    def opened(self, is_over: Callable[[], bool]) -> AbstractContextManager[Path | RemoteFile]:
        """Open the file; `is_over` tells whether nobody waits for it any more."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A regular file."""

    ref: MediaRef
    path: Path

    @property
    def identity(self) -> Hashable:
        return self.path, self.ref.stream, self.ref.channel

    def opened(self, is_over: Callable[[], bool]) -> AbstractContextManager[Path]:  # noqa: ARG002 - nothing waits
        return nullcontext(self.path)


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """An object in S3, or a file at an https address."""

    ref: MediaRef
    policy: MediaPolicy
    locate: Locate

    @property
    def identity(self) -> Hashable:
        return self.ref

    def opened(self, is_over: Callable[[], bool]) -> AbstractContextManager[RemoteFile]:
        from sync_core.media.open_remote import open_remote  # an HTTP client, which local files need not wait for

        return closing(open_remote(self.ref, self.policy, self.locate, is_over=is_over))


@dataclass(frozen=True, slots=True)
class Loaded:
    """A decoded file: its mix (or chosen channel), its channels if they were asked for, and what was read."""

    mix: Track
    channels: tuple[tuple[str, Track], ...]
    info: MediaInfo
    silent: bool


def find_source(text: str, policy: MediaPolicy, locate: Locate = nowhere) -> Source:
    """Read a media reference, check it against the policy, and find a local one's file.

    Raises
    ------
    InvalidMediaReference, MediaError
        As `parse_media_ref`, `MediaPolicy.check` and `media.files.resolve` say.
    """
    ref = parse_media_ref(text)
    if ref.scheme is MediaScheme.FILE:
        return LocalSource(ref, resolve(ref, policy))
    return RemoteSource(policy.check(ref), policy, locate)


def load_pair(
    master: Source, dub: Source, spool: Path, *, per_channel: bool, on_progress: Callable[[float], None]
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

    Raises
    ------
    MediaError
        Of the master, if both files fail.
    """
    once = master.identity == dub.identity
    jobs = [_Job(dub, spool / "dub", per_channel=per_channel)]
    if not once:
        jobs.insert(0, _Job(master, spool / "master", per_channel=False))
    loaded = _run(jobs, on_progress)
    return loaded[0], loaded[-1]


def seconds_at_hand(source: Source) -> float | None:
    """Tell how long the audio of a file is of which parts can be decoded; None for any other.

    Raises
    ------
    MediaError
        As `AudioReader` says.
    """
    if not isinstance(source, LocalSource):
        return None
    with AudioReader(source.path, str(source.ref), stream=source.ref.stream, channel=source.ref.channel) as reader:
        return reader.info.duration_seconds if reader.finds_times else None


def load_spans(
    wanted: Sequence[tuple[Source, Spans]], spool: Path, *, on_progress: Callable[[float], None]
) -> list[Loaded]:
    """Decode parts of files at the same time; the rest of each track is silence.

    Raises
    ------
    MediaError
        Of the first file that fails.
    """
    spool.mkdir(exist_ok=True)
    jobs = [
        _Job(source, spool / f"part-{index}", per_channel=False, spans=spans)
        for index, (source, spans) in enumerate(wanted)
    ]
    return _run(jobs, on_progress)


def _run(jobs: list[_Job], on_progress: Callable[[float], None]) -> list[Loaded]:
    stop = threading.Event()
    with ThreadPoolExecutor(len(jobs), thread_name_prefix="decode") as pool:
        futures = [pool.submit(job.run, stop) for job in jobs]
        try:
            _watch(futures, jobs, on_progress)
        finally:
            stop.set()
    for error in (future.exception() for future in futures):
        if error is not None and not isinstance(error, _Stopped):
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


class _Stopped(Exception):
    """The other file failed, or the caller cancelled; nobody waits for this one any more."""


class _Job:
    """The decoding of one file, on a thread of its own."""

    def __init__(self, source: Source, spool: Path, *, per_channel: bool, spans: Spans | None = None) -> None:
        self._source = source
        self._spool = spool
        self._per_channel = per_channel
        self._spans = spans
        self.fraction = 0.0

    def run(self, stop: threading.Event) -> Loaded:
        try:
            with self._source.opened(stop.is_set) as file:
                return self._load(file, stop)
        except Interrupted:
            raise _Stopped from None

    def _load(self, file: Path | RemoteFile, stop: threading.Event) -> Loaded:
        ref = self._source.ref
        with AudioReader(
            file, str(ref), stream=ref.stream, channel=ref.channel, per_channel=self._per_channel
        ) as reader:
            builders = self._builders(reader)
            if self._spans is not None:
                return self._load_spans(reader, builders[0], self._spans, stop)
            peak = 0.0
            for block in reader.blocks():
                if stop.is_set():
                    raise _Stopped
                for builder, row in zip(builders, block, strict=True):
                    builder.push(row)
                peak = max(peak, float(np.abs(block[0]).max(initial=0.0)))
                self.fraction = reader.fraction_read
            self.fraction = 1.0
            mix, *singles = [builder.finish() for builder in builders]
            names = [f"ch:{index} {reader.channels[index]}" for index in range(len(singles))]
            return Loaded(mix, tuple(zip(names, singles, strict=True)), reader.info, peak < _SILENT_PEAK)

    def _load_spans(self, reader: AudioReader, builder: TrackBuilder, spans: Spans, stop: threading.Event) -> Loaded:
        total = round(reader.info.duration_seconds * ANALYSIS_RATE_HZ)
        at, peak = 0, 0.0
        for sample, block in reader.spans(spans):
            if stop.is_set():
                raise _Stopped
            builder.skip(sample - at)
            builder.push(block)
            at = sample + block.size
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            self.fraction = min(at / max(total, 1), 1.0)
        builder.skip(max(total - at, 0))
        return Loaded(builder.finish(), (), reader.info, peak < _SILENT_PEAK)

    def _builders(self, reader: AudioReader) -> list[TrackBuilder]:
        rows = 1 + (len(reader.channels) if self._per_channel else 0)
        spools = [self._spool.with_name(f"{self._spool.name}-{row}.f32") for row in range(rows)]
        return [TrackBuilder(reader.start_seconds, spool) for spool in spools]
