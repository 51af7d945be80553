"""Small media files, written with PyAV: the tests need no ffmpeg."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import soxr
from av.stream import Disposition
from numpy.typing import NDArray

RATE_HZ = 48_000
ANALYSIS_RATE_HZ = 16_000


def bursts(seconds: float = 6.0, *, rate_hz: int = RATE_HZ, seed: int = 0) -> NDArray[np.float32]:
    """Band-limited noise in irregular bursts [shape=(n,), float32]: found in time without doubt."""
    rng = np.random.default_rng(seed)
    count = round(seconds * 8_000)
    gate = np.repeat(rng.choice([0.0, 0.1, 1.0], count // 800 + 1), 800)[:count]
    noise = np.convolve(rng.standard_normal(count), np.hanning(5) / 2, "same") * np.convolve(
        gate, np.ones(80) / 80, "same"
    )
    return np.asarray(soxr.resample(0.25 * noise, 8_000, rate_hz)[: round(seconds * rate_hz)], np.float32).clip(-1, 1)


@dataclass
class Sound:
    """One audio stream to write; `samples` is [shape=(channels, n)] or [shape=(n,)], which becomes stereo."""

    samples: NDArray[np.float32]
    codec: str = "pcm_s16le"
    rate_hz: int = RATE_HZ
    layout: str = "stereo"
    start_seconds: float = 0.0
    metadata: dict[str, str] = field(default_factory=dict)
    disposition: Disposition | None = None
    options: dict[str, str] = field(default_factory=dict)

    @property
    def planes(self) -> NDArray[np.float32]:
        return np.vstack([self.samples, self.samples]) if self.samples.ndim == 1 else self.samples


def write(
    path: Path,
    *sounds: Sound,
    fps: Fraction | None = None,
    video_seconds: float = 6.0,
    video_start: float = 0.0,
    video_codec: str = "mpeg4",
    keep_every: Sequence[int] = (1,),
    container_options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a file with the given sounds, and with moving pictures if a rate is given.

    `keep_every` gives the steps from picture to picture, in turn: other than (1,) it makes the rate variable.
    """
    with av.open(str(path), "w", container_options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        video = None
        if fps is not None:
            video = container.add_stream(video_codec, rate=fps)
            video.width, video.height, video.pix_fmt = 64, 64, "yuv420p"
            video.codec_context.time_base = 1 / fps
        streams = [_add(container, sound) for sound in sounds]
        packets = []
        if video is not None:
            packets += _pictures(video, fps, video_seconds, video_start, keep_every)
        for stream, sound in zip(streams, sounds, strict=True):
            packets += _encode(stream, sound)
        for packet in sorted(packets, key=lambda one: one.dts * one.time_base):
            container.mux(packet)
    return path


def _add(container, sound: Sound):
    stream = container.add_stream(sound.codec, rate=sound.rate_hz, layout=sound.layout, options=sound.options)
    stream.metadata.update(sound.metadata)
    if sound.disposition is not None:
        stream.disposition = sound.disposition.value
    return stream


def _pictures(stream, fps: Fraction, seconds: float, start: float, steps: Sequence[int]) -> list:
    packets = []
    first = round(start * fps)
    numbers = itertools.takewhile(lambda n: n < seconds * fps, itertools.accumulate(itertools.cycle(steps), initial=0))
    for number in numbers:
        frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number % 256, np.uint8), format="rgb24")
        frame.pts, frame.time_base = first + number, 1 / fps
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def _encode(stream, sound: Sound) -> list:
    packets = []
    planes = np.asarray(sound.planes, np.float32)
    first = round(sound.start_seconds * sound.rate_hz)
    for start in range(0, planes.shape[1], 4_096):
        packed = np.ascontiguousarray(planes[:, start : start + 4_096].T).reshape(1, -1)  # PyAV counts 8 planes wrongly
        frame = av.AudioFrame.from_ndarray(packed, "flt", sound.layout)
        frame.sample_rate, frame.pts, frame.time_base = sound.rate_hz, first + start, Fraction(1, sound.rate_hz)
        packets += stream.encode(frame)
    return packets + stream.encode(None)


def lateness_seconds(decoded: NDArray[np.float32], source: NDArray[np.float32], rate_hz: int = RATE_HZ) -> float:
    """Tell how much later `decoded` (16 kHz) is than `source`, to a fraction of a sample, upside down or not."""
    reference = soxr.resample(np.asarray(source, np.float64), rate_hz, ANALYSIS_RATE_HZ)
    size = 1 << int(np.ceil(np.log2(len(decoded) + len(reference))))
    product = np.fft.rfft(decoded, size) * np.conj(np.fft.rfft(reference, size))
    fine = 16
    correlation = np.abs(np.fft.irfft(np.pad(product, (0, size // 2 * (fine - 1))), size * fine))
    lag = int(np.argmax(correlation))
    return (lag - size * fine if lag > size * fine // 2 else lag) / fine / ANALYSIS_RATE_HZ


def joined(blocks: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    return np.concatenate(list(blocks), axis=1)
