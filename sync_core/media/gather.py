"""Gathering the small frames that decoders give into blocks of planes that are worth a numpy call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from numpy.typing import NDArray

from sync_core.media.damage import Damage

BLOCK_SECONDS = 2.0

_FULL_SCALE = {"u1": 2.0**7, "i2": 2.0**15, "i4": 2.0**31, "i8": 2.0**63}
_DTYPES = {"u8": "u1", "s16": "i2", "s32": "i4", "s64": "i8", "flt": "f4", "dbl": "f8"}
_GARBAGE = 1e6
"""Float samples beyond this are damage, not audio (files scaled to 16-bit integers stay far below)."""
_FIFO_LAYOUTS = frozenset({"mono", "stereo"})
"""AudioFifo is twice as fast, but PyAV's corrupts the heap on layouts of 8 channels in a custom order."""


@dataclass(frozen=True, slots=True)
class Planes:
    """A stretch of audio, not yet mixed.

    Attributes
    ----------
    samples : [shape=(channels, n), float32, 1.0 = full scale]
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    channels: tuple[str, ...]


class _Shape:
    """What must stay the same within a block."""

    def __init__(self, frame: AudioFrame) -> None:
        self.sample_rate_hz = frame.sample_rate
        self.format = frame.format.name
        self.channel_count = frame.layout.nb_channels
        self.layout = frame.layout.name
        self.channels = tuple(channel.name for channel in frame.layout.channels)

    def fits(self, frame: AudioFrame) -> bool:
        return (
            frame.sample_rate == self.sample_rate_hz
            and frame.format.name == self.format
            and frame.layout.nb_channels == self.channel_count
        )


class Gatherer:
    """Collects frames of one shape; a frame of another shape ends the block before it.

    Feed every frame to `push` and go on with what it gives, mostly nothing; `flush` gives what is left, before silence
    or at the end. A frame is a few milliseconds, so that what is done for each counts.
    """

    def __init__(self, damage: Damage) -> None:
        self._damage = damage
        self._shape: _Shape | None = None
        self._fifo: AudioFifo | None = None
        self._parts: list[NDArray[np.generic]] = []
        self._gathered = 0
        self._full = 0.0

    def push(self, frame: AudioFrame, skip_samples: int = 0) -> Sequence[Planes]:
        """Take a frame without its first `skip_samples`."""
        ended: Sequence[Planes] = ()
        if self._shape is None or not self._shape.fits(frame):
            ended = self._begin(frame)
        if skip_samples:
            return [*ended, *self.flush(), *self._rest(frame, skip_samples)]
        self._gathered += frame.samples
        if self._fifo is not None:
            frame.pts = None  # AudioFifo refuses timestamps that are not continuous; they have been dealt with
            self._fifo.write(frame)
        else:
            self._parts.append(raw_planes(frame))
        return [*ended, *self.flush()] if self._gathered >= self._full else ended

    def flush(self) -> Sequence[Planes]:
        """Give what has been gathered so far, if anything."""
        if not self._gathered:
            return ()
        self._gathered = 0
        if self._fifo is None:
            parts, self._parts = self._parts, []
            return [self._planes(np.concatenate(parts, axis=1))]
        frame = self._fifo.read()
        return [self._planes(raw_planes(frame))] if frame is not None else ()

    def _begin(self, frame: AudioFrame) -> Sequence[Planes]:
        """Begin a block of the frame's shape; give the one before it."""
        ended = self.flush()
        self._shape = _Shape(frame)
        self._fifo = AudioFifo() if self._shape.layout in _FIFO_LAYOUTS else None
        self._full = BLOCK_SECONDS * self._shape.sample_rate_hz
        return ended

    def _rest(self, frame: AudioFrame, skip_samples: int) -> Sequence[Planes]:
        return [self._planes(raw_planes(frame)[:, skip_samples:])] if skip_samples < frame.samples else ()

    def _planes(self, raw: NDArray[np.generic]) -> Planes:
        assert self._shape is not None
        samples, garbage = to_float(raw)
        self._damage.garbage_samples += garbage
        return Planes(samples, self._shape.sample_rate_hz, self._shape.channels)


def raw_planes(frame: AudioFrame) -> NDArray[np.generic]:
    """View a frame's samples without copying.

    Returns
    -------
    samples : [shape=(channels, n), dtype of the sample format]
        Valid while the array is referenced; it keeps the frame alive.
    """
    name = frame.format.name
    channels, count = frame.layout.nb_channels, frame.samples
    dtype = np.dtype(_DTYPES[name.removesuffix("p")])
    if not frame.format.is_planar:
        return np.frombuffer(memoryview(frame.planes[0]), dtype, count=count * channels).reshape(count, channels).T
    planes = [np.frombuffer(memoryview(plane), dtype, count=count) for plane in frame.planes[:channels]]
    return planes[0][None, :] if channels == 1 else np.stack(planes)


def to_float(raw: NDArray[np.generic]) -> tuple[NDArray[np.float32], int]:
    """Scale samples of any format to float32 with full scale at 1.0.

    Returns
    -------
    samples : [shape as given, float32]
        What is no number, or absurdly large, is 0.
    garbage
        How many samples that were.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        samples = raw.astype(np.float32, copy=False)
    kind = raw.dtype.str[1:]
    if kind[0] == "f":
        return _without_garbage(samples)
    if kind == "u1":
        samples -= 128.0
    samples *= np.float32(1.0 / _FULL_SCALE[kind])
    return samples, 0


def _without_garbage(samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], int]:
    flat = samples.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        if np.dot(flat, flat) < _GARBAGE:
            return samples, 0
    good = np.abs(samples) < _GARBAGE
    return np.where(good, samples, np.float32(0.0)), int(good.size - np.count_nonzero(good))
