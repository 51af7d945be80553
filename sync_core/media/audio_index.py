"""Where in a file the packets of one audio stream lie, for containers that have an index of them."""

from __future__ import annotations

from collections.abc import Iterator

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from sync_core.media.ranges import ByteRange, merged, worth_fetching
from sync_core.media.remote_file import FetchPlan

_INDEXED = "mov,mp4,m4a,3gp,3g2,mj2"


def audio_plan(container: InputContainer, stream: AudioStream, *, file_bytes: int) -> FetchPlan | None:
    """Plan to fetch only what a stream needs.

    Bytes that no index names are read as they are met: the fragments of a fragmented file, for example.

    Returns
    -------
    None where the container has no index of all packets, or reading all of the file costs no more.
    """
    if container.format.name != _INDEXED:
        return None
    wanted = worth_fetching(merged(_packets(stream, file_bytes)), file_bytes=file_bytes)
    if not wanted:
        return None
    others = (one for other in container.streams if other.index != stream.index for one in _packets(other, file_bytes))
    return FetchPlan(tuple(wanted), others)


def _packets(stream: Stream | AudioStream, file_bytes: int) -> Iterator[ByteRange]:
    """Give where the packets lie; those that follow each other are put together at once, for they may be a million."""
    start = stop = 0
    for entry in stream.index_entries:
        position = entry.pos
        if position != stop:
            yield _within(start, stop, file_bytes)
            start = position
        stop = position + entry.size
    yield _within(start, stop, file_bytes)


def _within(start: int, stop: int, file_bytes: int) -> ByteRange:
    """Give a range without what a damaged index puts outside the file."""
    return ByteRange(min(max(start, 0), file_bytes), min(max(stop, 0), file_bytes))
