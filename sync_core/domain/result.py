"""What an analysis says about one pair.

Sign and time, everywhere in this project::

    master_time = speed_ratio * dub_time + offset_seconds

`offset_seconds` is the shift to apply to the dub. Negative: the dub is late. Positive: the dub is early.
`speed_ratio` above 1: the dub plays too fast. All times are seconds from a file's time zero, which is the start of
its video stream if it has one, else its first decoded sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sync_core.domain.methods import Method
from sync_core.domain.remote_media import Fetched


class Verdict(StrEnum):
    """The answer in one word."""

    IN_SYNC = "in_sync"
    """Constant, and within the tolerance."""
    OFFSET = "offset"
    """Constant, outside the tolerance."""
    DRIFT = "drift"
    """One straight line with a speed other than 1."""
    EDITED = "edited"
    """Different from part to part."""
    NO_MATCH = "no_match"
    """Nothing in common that could be aligned; an answer, not a failure."""


class SegmentKind(StrEnum):
    """What a stretch of the dub is."""

    PROGRAMME = "programme"
    SILENCE = "silence"
    TONE = "tone"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the dub, in dub time.

    `offset_seconds` and `speed_ratio` describe the line `master_time = speed_ratio * dub_time + offset_seconds` inside
    it; both are None where the dub has material without counterpart in the master.
    """

    dub_start: float
    dub_end: float
    offset_seconds: float | None
    speed_ratio: float | None
    confidence: float
    kind: SegmentKind


@dataclass(frozen=True, slots=True)
class Candidate:
    """Another offset that fits about as well."""

    offset_seconds: float
    speed_ratio: float
    confidence: float


@dataclass(frozen=True, slots=True)
class MethodResult:
    """What one method found by itself.

    `score` is the method's raw peak statistic; `confidence` a probability. `ok` is False where the method refused or
    could not run; then `error` says why.
    """

    method: Method
    label: str
    offset_seconds: float | None
    score: float | None
    confidence: float
    ok: bool
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AudioStreamInfo:
    """One audio stream of a file; `index` counts audio streams only, as in `#a:1`."""

    index: int
    codec: str
    sample_rate_hz: int
    channels: int
    layout: str
    language: str | None
    title: str | None


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What was read of one file.

    `start_seconds` is where the chosen audio starts after the file's time zero. `frame_rate` is the video's, as an
    exact fraction such as `24000/1001`, or None. `warnings` are sentences about damage that was survived. `fetched` is
    what reading a remote file has cost; None for one that was here.
    """

    path: str
    duration_seconds: float
    container: str
    streams: tuple[AudioStreamInfo, ...]
    stream_index: int
    channel: str
    channels: int
    sample_rate_hz: int
    start_seconds: float
    frame_rate: str | None
    start_timecode: str | None = None
    warnings: tuple[str, ...] = ()
    fetched: Fetched | None = None


@dataclass(frozen=True, slots=True)
class FrameCount:
    """The offset in video frames at an exact rate such as `24000/1001`."""

    count: float
    rate: str
    source: str
    """`master` or `dub`, whose video it is; `default` where neither has one."""


@dataclass(frozen=True, slots=True)
class ChannelOffset:
    """The offset of one channel of the dub against the master's mix; asked for with `channels: per_channel`."""

    channel: str
    offset_seconds: float | None
    confidence: float


@dataclass(frozen=True, slots=True)
class AnalysisResult:
    """The answer for one pair.

    `confidence` is a probability: of all results that say 0.9, 90 % are within one frame (40 ms) of the truth. For
    `no_match` it is that of the best refused candidate. `precision_seconds` is the half-width of the interval that the
    offset is in. `notes` are sentences for the operator: methods that could not run, wow, a polarity inversion.
    """

    verdict: Verdict
    offset_seconds: float | None
    confidence: float
    method_used: str | None
    precision_seconds: float | None
    speed_ratio: float | None
    drift_ppm: float | None
    rate_label: str | None
    segments: tuple[Segment, ...]
    candidates: tuple[Candidate, ...]
    methods: tuple[MethodResult, ...]
    frames: FrameCount | None
    timecode: str | None
    media: Mapping[str, MediaInfo]
    notes: tuple[str, ...] = ()
    compliance: None = None
    analysis_id: str | None = None
    channel_offsets: tuple[ChannelOffset, ...] = ()


class AnalysisStage(StrEnum):
    """What a running item is doing, for progress displays."""

    QUEUED = "queued"
    DECODING = "decoding"
    COMPARING = "comparing"
    REFINING = "refining"
    REPORTING = "reporting"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running item is; `fraction` of the whole item, 0 to 1."""

    stage: AnalysisStage
    fraction: float
