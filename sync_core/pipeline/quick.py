"""The quick depth: a look at parts of a long pair.

Twelve seconds of every three minutes of the dub are set against four stretches of the master, each so long that
whatever the offset, it holds at least one of those windows whole. The line that they agree on tells where in the master
the other windows lie; those places are decoded then, and all windows are compared as a whole pair would be, with
silence in place of what was not looked at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from sync_core.analysis.estimate import Estimate
from sync_core.analysis.line import Line
from sync_core.analysis.parts import compare_on, features_of, find_line
from sync_core.analysis.spans import joined
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.methods import Method
from sync_core.domain.result import Segment, SegmentKind
from sync_core.pipeline.load_pair import load_spans, seconds_at_hand
from sync_core.pipeline.load_track import Loaded, Spans
from sync_core.pipeline.sources import Source

SPAN_SECONDS: Final = 12
EVERY_SECONDS: Final = 180
LEAST_SECONDS: Final = 1_800
"""Shorter files are read whole, which takes no longer."""

_MASTER_SPANS: Final = 4
_MARGIN_SECONDS: Final = 1
_LEAST_LOOKED_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was looked at, and what it says."""

    master: Loaded
    dub: Loaded
    estimate: Estimate


def compare_sampled(
    master: Source, dub: Source, methods: Sequence[Method], *, on_progress: Callable[[float], None]
) -> Sampled | None:
    """Compare the parts of a pair that tell most; None if it is short, or not of a kind of which parts can be read.

    Raises
    ------
    MediaError
        As `load_pair` says.
    """
    lengths = [seconds_at_hand(source) for source in (master, dub)]
    if None in lengths or min(length or 0.0 for length in lengths) < LEAST_SECONDS:
        return None
    master_seconds, dub_seconds = (int(length or 0.0) for length in lengths)
    windows = dub_spans(dub_seconds)
    stretches = master_spans(master_seconds)
    first, other = load_spans([(master, stretches), (dub, windows)], on_progress=lambda part: on_progress(0.3 * part))
    found = find_line(
        first.mix,
        other.mix,
        stretches=stretches,
        windows=windows,
        on_progress=lambda part: on_progress(0.3 + 0.2 * part),
    )
    with ThreadPoolExecutor(1, thread_name_prefix="features") as beside:
        features = beside.submit(features_of, other.mix, methods, found.dub_features)
        if found.lines:
            there = joined(span for line in found.lines for span in counterparts(windows, line, master_seconds))
            (first,) = load_spans([(master, there)], on_progress=lambda part: on_progress(0.5 + 0.2 * part))
    estimate = compare_on(
        first.mix, other.mix, features.result(), found, on_progress=lambda part: on_progress(0.7 + 0.3 * part)
    )
    return Sampled(first, other, _told(estimate, other, windows))


def _told(estimate: Estimate, dub: Loaded, windows: Spans) -> Estimate:
    """Say what was looked at, and no more about the rest than follows from it."""
    seconds = sum(stop - start for start, stop in windows)
    note = (
        f"The quick depth looked at {seconds} s of the dub's {dub.mix.duration_seconds:.0f} s, {SPAN_SECONDS} s of "
        f"every {EVERY_SECONDS} s: edits between them are not seen, and where the dub changes is only known to lie "
        "between two of them. The full depth looks at all of it"
        + (", and finds other speeds too." if estimate.offset_seconds is None else ".")
    )
    segments = told(estimate.segments, windows, dub.mix.start_seconds)
    return replace(
        estimate, segments=segments, edited=estimate.edited and len(segments) > 1, notes=(*estimate.notes, note)
    )


def dub_spans(seconds: int) -> Spans:
    """Windows of the dub, the first at its start and the last at its end.

    Examples
    --------
    >>> dub_spans(300)
    [(0, 12), (180, 192), (288, 300)]
    """
    starts = [*range(0, seconds - SPAN_SECONDS, EVERY_SECONDS), seconds - SPAN_SECONDS]
    return joined((start, start + SPAN_SECONDS) for start in starts)


def master_spans(seconds: int) -> Spans:
    """Stretches of the master, spread evenly, that each hold a whole window of the dub at any offset."""
    length = EVERY_SECONDS + SPAN_SECONDS
    starts = np.linspace(0, seconds - length, _MASTER_SPANS).astype(int).tolist()
    return joined((start, start + length) for start in starts)


def counterparts(windows: Spans, line: Line, master_seconds: int) -> Spans:
    """Where in the master windows of the dub lie on a line, with a margin, as far as there is any."""
    found = []
    for window in windows:
        low, high = line.master_samples(np.array(window, np.int64) * ANALYSIS_RATE_HZ) / ANALYSIS_RATE_HZ
        start, stop = max(int(low) - _MARGIN_SECONDS, 0), min(int(high) + 1 + _MARGIN_SECONDS, master_seconds)
        if stop > start:
            found.append((start, stop))
    return joined(found)


def told(segments: Sequence[Segment], spans: Spans, start_seconds: float) -> tuple[Segment, ...]:
    """Leave out stretches without counterpart that nobody looked at; neighbours meet in their middle."""
    kept: list[Segment] = []
    for segment in segments:
        if segment.offset_seconds is None:
            if _looked_at(segment, spans, start_seconds) < _LEAST_LOOKED_SECONDS:
                continue
            segment = replace(segment, kind=SegmentKind.OTHER)
        before = kept[-1] if kept else None
        if before and (before.offset_seconds, before.speed_ratio) == (segment.offset_seconds, segment.speed_ratio):
            kept[-1] = replace(before, dub_end=segment.dub_end)
        elif before:
            middle = round((before.dub_end + segment.dub_start) / 2, 6)
            kept[-1] = replace(before, dub_end=middle)
            kept.append(replace(segment, dub_start=middle))
        else:
            kept.append(replace(segment, dub_start=segments[0].dub_start))
    if kept:
        kept[-1] = replace(kept[-1], dub_end=segments[-1].dub_end)
    return tuple(kept)


def _looked_at(segment: Segment, spans: Spans, start_seconds: float) -> float:
    return sum(
        max(min(segment.dub_end, start_seconds + stop) - max(segment.dub_start, start_seconds + start), 0.0)
        for start, stop in spans
    )
