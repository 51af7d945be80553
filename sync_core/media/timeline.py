"""Placing decoded frames of audio by their timestamps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from av.audio.frame import AudioFrame

from sync_core.media.damage import Damage

_JITTER_SECONDS = 0.010
"""Timestamps wander by this much (rounding to milliseconds, capture clocks) without meaning anything; the shortest real
loss, one packet of AAC or MP3, is more than twice as long."""
_LONGEST_OVERLAP_SECONDS = 5.0
"""A longer jump back is a clock that was set anew, not audio that is there twice."""
_LONGEST_GAP_SECONDS, _MOST_SILENCE_SECONDS = 3_600.0, 21_600.0
_UNANNOUNCED_GAP_SECONDS, _UNANNOUNCED_SILENCE_SECONDS = 60.0, 600.0
"""The longest gap, and the sum of all, that are believed: within what the container announces, and beyond it. Damaged
timestamps must not fill a disk with silence."""


class PlacedFrame(NamedTuple):
    """A frame with the silence to put before it and the part of it that is already there, both in seconds."""

    frame: AudioFrame
    silence_seconds: float = 0.0
    skip_seconds: float = 0.0


class Timeline:
    """Follows the timestamps of a stream: gaps become silence, overlaps are cut.

    A frame whose time does not fit waits for the next one: if that one fits as if nothing had happened, the odd
    timestamp was a stray and is ignored; otherwise the jump is real. A clock that was set anew (a jump that no
    programme would have) goes on without a gap. Each jump is told.

    Parameters
    ----------
    tick_seconds
        The stream's time base: no timestamp is finer.
    end_seconds
        Where the container says that the stream ends, on its own clock.
    counted_at_hz
        For bare streams of packets, whose timestamps FFmpeg counts up at the first packet's rate: that rate. Frames of
        another rate just follow. None: timestamps are what the file says.
    """

    def __init__(
        self, damage: Damage, *, tick_seconds: float, end_seconds: float, counted_at_hz: int | None = None
    ) -> None:
        self._damage = damage
        self._tick_seconds = tick_seconds
        self._tolerance = max(_JITTER_SECONDS, tick_seconds)
        self._end_seconds = end_seconds
        self._counted_at_hz = counted_at_hz
        self._first: float | None = None
        self._position = 0.0
        self._reset_seconds = 0.0
        self._previous_end: float | None = None
        self._silence_seconds = 0.0

    def place(self, frames: Iterable[AudioFrame]) -> Iterator[PlacedFrame]:
        """Yield every frame that has something to add, in order."""
        doubtful: AudioFrame | None = None
        for frame in frames:
            if doubtful is not None:
                yield from self._settle(doubtful, frame)
                doubtful = None
            if self._fits(frame, self._position):
                self._position += frame.samples / frame.sample_rate
                yield PlacedFrame(frame)
            else:
                doubtful = frame
        if doubtful is not None:
            yield self._append(doubtful)

    def _settle(self, doubtful: AudioFrame, following: AudioFrame) -> Iterator[PlacedFrame]:
        if self._fits(following, self._position + _seconds(doubtful)):
            yield self._append(doubtful)
        else:
            yield from self._jump(doubtful)

    def _fits(self, frame: AudioFrame, position: float) -> bool:
        time = self._time(frame)
        if time is None:
            return True
        if self._first is None:
            self._first = self._position = time
            return True
        return abs(time - position) <= self._tolerance

    def _time(self, frame: AudioFrame) -> float | None:
        if frame.pts is None or (self._counted_at_hz and frame.sample_rate != self._counted_at_hz):
            return None
        return frame.pts * self._tick_seconds + self._reset_seconds

    def _append(self, frame: AudioFrame) -> PlacedFrame:
        self._position += _seconds(frame)
        return PlacedFrame(frame)

    def _jump(self, frame: AudioFrame) -> Iterator[PlacedFrame]:
        time = self._time(frame)
        assert time is not None, "a frame without a timestamp always fits"
        step = time - self._position
        if step < 0 and self._is_believable(step):
            yield from self._cut(frame, -step)
        elif step > 0 and self._is_believable(step):
            step = self._whole_packets(step, _seconds(frame))
            self._damage.jump(f"{step:.3f} s of audio are missing at {self._elapsed}; silence was put there")
            self._silence_seconds += step
            self._position += step + _seconds(frame)
            yield PlacedFrame(frame, silence_seconds=step)
        else:
            self._damage.jump(
                f"the timestamps jump by {step:+.2f} s at {self._elapsed}; taken as going on without a gap"
            )
            self._reset_seconds -= step
            yield self._append(frame)

    def _whole_packets(self, gap_seconds: float, packet_seconds: float) -> float:
        """Undo the rounding of coarse timestamps: what is lost is whole packets, as far as the clock can tell."""
        whole = round(gap_seconds / packet_seconds) * packet_seconds
        return whole if abs(whole - gap_seconds) <= self._tick_seconds else gap_seconds

    def _cut(self, frame: AudioFrame, overlap_seconds: float) -> Iterator[PlacedFrame]:
        start = self._position - overlap_seconds
        if self._previous_end is None or abs(start - self._previous_end) > self._tolerance:
            self._damage.jump(f"{overlap_seconds:.3f} s at {self._elapsed} are there twice; the repeat was left out")
        self._previous_end = start + _seconds(frame)
        if self._previous_end > self._position:
            self._position = self._previous_end
            yield PlacedFrame(frame, skip_seconds=overlap_seconds)

    @property
    def _elapsed(self) -> str:
        return f"{self._position - (self._first or 0.0):.2f} s"

    def _is_believable(self, step: float) -> bool:
        if step < 0:
            return -step <= _LONGEST_OVERLAP_SECONDS
        longest, most = _UNANNOUNCED_GAP_SECONDS, _UNANNOUNCED_SILENCE_SECONDS
        if self._position + step - self._reset_seconds <= self._end_seconds:
            longest, most = _LONGEST_GAP_SECONDS, _MOST_SILENCE_SECONDS
        return step <= longest and self._silence_seconds + step <= most


def _seconds(frame: AudioFrame) -> float:
    return frame.samples / frame.sample_rate
