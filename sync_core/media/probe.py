"""What is in a container: its audio streams, which of them to take, its frame rate, its time zero."""

from __future__ import annotations

import re
from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from sync_core.domain.errors import MediaUnsupported, NoAudio
from sync_core.domain.result import AudioStreamInfo

_NOT_PROGRAMME = Disposition.comment | Disposition.visual_impaired | Disposition.descriptions
_NOT_PROGRAMME_TITLE = re.compile(r"comment|kommentar|audio.?descri|descriptive", re.IGNORECASE)
_NOT_A_PROGRAMME_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image

_CLOCK_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d*)?)")
_STANDARD_RATES = tuple(
    Fraction(nominal * 1000, divisor) for nominal in (24, 25, 30, 48, 50, 60, 100, 120) for divisor in (1000, 1001)
)
_RATE_TOLERANCE = Fraction(1, 5000)
"""Containers that count milliseconds give 23.976 as 23.98; 24 and 23.976 differ by five times this."""
_PLAUSIBLE_RATES = (1, 300)


def describe_streams(container: InputContainer) -> tuple[AudioStreamInfo, ...]:
    """List the audio streams, in the order that `#a:` counts."""
    return tuple(_describe(index, stream) for index, stream in enumerate(container.streams.audio))


def _describe(index: int, stream: AudioStream) -> AudioStreamInfo:
    context = stream.codec_context
    if context is None:
        return AudioStreamInfo(index, "unknown", 0, 0, "", stream.language, stream.metadata.get("title"))
    layout = context.layout
    return AudioStreamInfo(
        index,
        context.name,
        context.sample_rate or 0,
        layout.nb_channels,
        layout.name,
        stream.language,
        stream.metadata.get("title"),
    )


def choose_stream(container: InputContainer, wanted: int | None, name: str) -> AudioStream:
    """Take the audio stream that was asked for, or the first that is neither commentary nor audio description.

    Raises
    ------
    NoAudio
        If there is no audio stream, or not that many.
    MediaUnsupported
        If no decoder here reads the stream.
    """
    streams = container.streams.audio
    if not streams:
        raise NoAudio(f"{name} has no audio stream; name a file with sound")
    if wanted is not None and wanted >= len(streams):
        raise NoAudio(f"{name} has no audio stream {wanted}: it has {len(streams)}, counted from 0")
    stream = streams[wanted] if wanted is not None else next(filter(_is_programme, streams), streams[0])
    if stream.codec_context is None:
        raise MediaUnsupported(f"{name}: no decoder for the codec of its audio stream; export it as WAV or AAC")
    return stream


def _is_programme(stream: AudioStream) -> bool:
    title = stream.metadata.get("title", "") + " " + stream.metadata.get("handler_name", "")
    readable = stream.codec_context is not None
    return readable and not stream.disposition & _NOT_PROGRAMME and not _NOT_PROGRAMME_TITLE.search(title)


def programme_video(container: InputContainer) -> VideoStream | None:
    """Return the first video stream that is moving pictures: not cover art, not thumbnails."""
    return next((v for v in container.streams.video if not v.disposition & _NOT_A_PROGRAMME_VIDEO), None)


def video_start_seconds(video: VideoStream | None) -> float | None:
    """Return when the video starts on the container's clock; None without video, or where it has no pictures."""
    if video is None or video.start_time is None or video.time_base is None:
        return None
    return float(video.start_time * video.time_base)


def frame_rate(video: VideoStream | None) -> Fraction | None:
    """Return the video's frame rate, exact where it is a standard one; None where it has no sensible one.

    A variable frame rate gives its average.
    """
    rate = video and (video.average_rate or video.guessed_rate)
    if not rate or not _PLAUSIBLE_RATES[0] <= rate <= _PLAUSIBLE_RATES[1]:
        return None
    near = (standard for standard in _STANDARD_RATES if abs(standard / rate - 1) <= _RATE_TOLERANCE)
    return next(near, Fraction(rate).limit_denominator(1001))


def start_timecode(container: InputContainer) -> str | None:
    """Return the timecode of the first frame, if the file says one."""
    tags = (container.metadata, *(stream.metadata for stream in container.streams))
    return next((tag["timecode"] for tag in tags if "timecode" in tag), None)


def announced_seconds(container: InputContainer, stream: AudioStream) -> float | None:
    """Return how long the container says that the audio is, or None."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    end = _tagged_end_seconds(stream)
    if end is not None:
        return max(end - start, 0.0)
    return container.duration / 1e6 if container.duration and not container.streams.video else None


def _tagged_end_seconds(stream: AudioStream) -> float | None:
    """Return the end that Matroska writers note in a tag, as `00:01:02.500000000`."""
    match = _CLOCK_TAG.match(stream.metadata.get("DURATION", ""))
    if match is None:
        return None
    hours, minutes, seconds = match.groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
