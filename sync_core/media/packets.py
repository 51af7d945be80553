"""Decoded frames of one stream, past whatever is damaged on the way."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from sync_core.media import pcm
from sync_core.media.damage import Damage

_READ_ERRORS = 20
"""After so many failures to read on without a packet between them, the rest of the file is given up."""
_PLAUSIBLE_RATES_HZ = (1_000, 1_600_000)
_CHANNELS = 256
"""What lies beyond is a damaged header, and would take any amount of memory to resample or mix."""


def decoded_frames(container: InputContainer, stream: AudioStream, damage: Damage) -> Iterator[AudioFrame]:
    """Decode a stream from where the container is to its end.

    What cannot be decoded is left out and counted in `damage`; the timestamps of what follows tell how much it was.

    Raises
    ------
    MemoryError
        If the decoder ran out of it.
    """
    for packet in pcm.joined(_packets(container, stream, damage), stream):
        try:
            frames = stream.codec_context.decode(packet)
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError):
            frames = pcm.whole_samples(packet) if packet.is_corrupt else []
            damage.undecodable += not frames
        for frame in frames:
            if not _is_plausible(frame):
                damage.undecodable += 1
            elif frame.samples:
                yield frame


def _is_plausible(frame: AudioFrame) -> bool:
    slowest, fastest = _PLAUSIBLE_RATES_HZ
    return slowest <= frame.sample_rate <= fastest and 0 < frame.layout.nb_channels <= _CHANNELS


def _packets(container: InputContainer, stream: AudioStream, damage: Damage) -> Iterator[Packet[AudioStream]]:
    """Demux, and go on behind places where the container itself is damaged."""
    failures = 0
    while failures < _READ_ERRORS:
        try:
            for packet in container.demux(stream):
                failures = 0
                yield packet
        except MemoryError:
            raise
        except (av.FFmpegError, ValueError) as error:
            failures += 1
            damage.undecodable += 1
            if isinstance(error, OSError):
                damage.ended_early = f"reading failed: {error.strerror}"
                return
        else:
            return
    damage.ended_early = "the container is damaged, and nothing behind that place could be read"
