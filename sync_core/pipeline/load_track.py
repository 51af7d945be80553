"""Decoding one file into tracks, whole or in parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sync_core.analysis.track import ANALYSIS_RATE_HZ, PartsBuilder, Track, TrackBuilder
from sync_core.domain.result import MediaInfo
from sync_core.media.decode import AudioReader
from sync_core.media.interrupted import Interrupted
from sync_core.pipeline.sources import Source

Spans = list[tuple[int, int]]
"""Parts of a file: whole seconds after its first sample, [start, stop), in order and apart."""

_SILENT_PEAK = 1e-5
"""-100 dB of full scale: nothing that could be heard or compared."""


class Stopped(Exception):
    """The other file failed, or the caller cancelled; nobody waits for this one any more."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A decoded file: its mix (or chosen channel), its channels if they were asked for, and what was read."""

    mix: Track
    channels: tuple[tuple[str, Track], ...]
    info: MediaInfo
    silent: bool


@dataclass(frozen=True, slots=True)
class LoadOrder:
    """Which file is to be decoded as a whole, and where to.

    Attributes
    ----------
    spool
        Stem of the files for the decoded audio, which must outlive the tracks.
    per_channel
        Make tracks of the single channels too.
    """

    source: Source
    spool: Path
    per_channel: bool = False

    def row_spool(self, row: int) -> Path:
        """Where row 0, the mix, and the channels' rows behind it lie."""
        return self.spool.with_name(f"{self.spool.name}-{row}.f32")


def load_track(order: LoadOrder, is_over: Callable[[], bool], on_fraction: Callable[[float], None]) -> Loaded:
    """Decode a file on the calling thread.

    Raises
    ------
    MediaError
        As `AudioReader` says.
    Stopped
        If `is_over` turned true meanwhile.
    """
    with _reading(order, is_over) as reader:
        return _load(order, reader, is_over, on_fraction)


def load_if_shorter(
    order: LoadOrder, is_over: Callable[[], bool], on_fraction: Callable[[float], None], than_seconds: float
) -> Loaded | None:
    """Decode a file as `load_track` does; None for one that announces to be as long as given, or longer."""
    with _reading(order, is_over) as reader:
        is_shorter = reader.info.duration_seconds < than_seconds
        return _load(order, reader, is_over, on_fraction) if is_shorter else None


def load_parts(
    source: Source, spans: Spans, is_over: Callable[[], bool], on_fraction: Callable[[float], None]
) -> Loaded:
    """Decode parts of a file into memory; the rest of the track is silence. Raises what `load_track` does."""
    ref = source.ref
    with source.opened(is_over) as file, AudioReader(file, str(ref), stream=ref.stream, channel=ref.channel) as reader:
        return _load_spans(reader, spans, is_over, on_fraction)


@contextmanager
def _reading(order: LoadOrder, is_over: Callable[[], bool]) -> Iterator[AudioReader]:
    ref = order.source.ref
    try:
        with (
            order.source.opened(is_over) as file,
            AudioReader(
                file, str(ref), stream=ref.stream, channel=ref.channel, per_channel=order.per_channel
            ) as reader,
        ):
            yield reader
    except Interrupted:
        raise Stopped from None


def _load(
    order: LoadOrder, reader: AudioReader, is_over: Callable[[], bool], on_fraction: Callable[[float], None]
) -> Loaded:
    builders = _builders(order, reader)
    peak = 0.0
    for block in reader.blocks():
        if is_over():
            raise Stopped
        for builder, row in zip(builders, block, strict=True):
            builder.push(row)
        peak = max(peak, float(np.abs(block[0]).max(initial=0.0)))
        on_fraction(reader.fraction_read)
    on_fraction(1.0)
    mix, *singles = [builder.finish() for builder in builders]
    names = [f"ch:{index} {reader.channels[index]}" for index in range(len(singles))]
    return Loaded(mix, tuple(zip(names, singles, strict=True)), reader.info, peak < _SILENT_PEAK)


def _load_spans(
    reader: AudioReader, spans: Spans, is_over: Callable[[], bool], on_fraction: Callable[[float], None]
) -> Loaded:
    total = round(reader.info.duration_seconds * ANALYSIS_RATE_HZ)
    builder = PartsBuilder(reader.start_seconds, total)
    peak = 0.0
    for sample, block in reader.spans(spans):
        if is_over():
            raise Stopped
        builder.put(sample, block)
        peak = max(peak, float(np.abs(block).max(initial=0.0)))
        on_fraction(min(sample / max(total, 1), 1.0))
    return Loaded(builder.finish(), (), reader.info, peak < _SILENT_PEAK)


def _builders(order: LoadOrder, reader: AudioReader) -> list[TrackBuilder]:
    rows = 1 + (len(reader.channels) if order.per_channel else 0)
    return [TrackBuilder(reader.start_seconds, order.row_spool(row)) for row in range(rows)]
