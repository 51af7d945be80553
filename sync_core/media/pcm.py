"""Packets of PCM: many small ones are decoded as one, and of one that was cut off its whole samples are kept."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.packet import Packet

_CODEC = re.compile(r"pcm_[suf](\d+)(le|be)?")
"""Samples of all channels in turn; other kinds hold a channel after the other, or more than samples."""
_JOINED_SECONDS = 1.0
_LARGE_BYTES = 65_536
"""What comes in such pieces is worth a decoder's call each."""


def sample_bytes(stream: AudioStream) -> int:
    """Size of one sample of all channels; 0 where packets are anything but samples of all channels in turn."""
    codec = _CODEC.fullmatch(stream.codec_context.name)
    return int(codec[1]) // 8 * stream.codec_context.layout.nb_channels if codec else 0


def whole_samples(packet: Packet[AudioStream]) -> list[AudioFrame]:
    """Decode a packet that was cut off within a sample, which FFmpeg refuses as a whole, but for that sample."""
    size = sample_bytes(packet.stream)
    if not size or packet.size < size:
        return []
    try:
        return packet.stream.codec_context.decode(_packet(packet, bytes(packet)[: packet.size - packet.size % size]))
    except (av.FFmpegError, ValueError):
        return []


def joined(packets: Iterable[Packet[AudioStream]], stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Join packets of a few milliseconds that follow on each other; give all others as they are."""
    size, rate, tick = sample_bytes(stream), stream.codec_context.sample_rate, stream.time_base
    if not (size and rate and tick):
        yield from packets
        return
    run = _Run(size, 1.0 / (rate * float(tick)), round(_JOINED_SECONDS * rate) * size)
    for packet in packets:
        if run.takes(packet):
            continue
        yield from run.end()
        if not run.takes(packet):
            yield packet
    yield from run.end()


@dataclass(slots=True)
class _Run:
    """Packets that follow on each other.

    Attributes
    ----------
    ticks_per_sample
        Of the stream's time base.
    most_bytes
        When it is full.
    """

    sample_bytes: int
    ticks_per_sample: float
    most_bytes: int
    _first_pts: int = 0
    _parts: list[Packet[AudioStream]] = field(default_factory=list)
    _bytes: int = 0

    def takes(self, packet: Packet[AudioStream]) -> bool:
        """Take a packet if it is small and sound, and goes on where the last one ended."""
        size, pts = packet.size, packet.pts
        if pts is None or not 0 < size < _LARGE_BYTES or self._bytes + size > self.most_bytes:
            return False
        if size % self.sample_bytes or packet.is_corrupt or packet.is_discard or packet.has_sidedata("skip_samples"):
            return False
        if not self._parts:
            self._first_pts = pts
        elif abs(self._first_pts + self._bytes // self.sample_bytes * self.ticks_per_sample - pts) > 1:
            return False
        self._parts.append(packet)
        self._bytes += size
        return True

    def end(self) -> Iterator[Packet[AudioStream]]:
        """Give what was taken, as one packet, and begin anew."""
        if len(self._parts) == 1:
            yield self._parts[0]
        elif self._parts:
            yield _packet(self._parts[0], b"".join(self._parts))
        self._parts.clear()
        self._bytes = 0


def _packet(like: Packet[AudioStream], content: bytes) -> Packet[AudioStream]:
    """Make a packet of the time of another."""
    packet = cast("Packet[AudioStream]", Packet(content))
    packet.pts, packet.dts, packet.time_base = like.pts, like.dts, like.time_base
    return packet
