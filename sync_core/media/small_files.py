"""Whole small files in one call: what the demonstration reads and writes. The analysis decodes in blocks instead."""

from __future__ import annotations

import itertools
import wave
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

from sync_core.domain.errors import MediaUnsupported

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.video.stream import VideoStream

Stereo = NDArray[np.float32]
"""[shape=(n_samples, 2), full scale 1.0]"""

_VIDEO_WIDTH, _VIDEO_HEIGHT = 160, 90


def read_stereo(path: Path, *, rate_hz: int) -> Stereo:
    """Decode the first audio stream of a file into memory.

    Parameters
    ----------
    rate_hz
        Sample rate to resample to; mono is doubled, more channels are mixed down.

    Returns
    -------
    [shape=(n_samples, 2), float32, full scale 1.0]

    Raises
    ------
    MediaUnsupported
        If the file holds no audio that can be decoded.
    """
    resampler = AudioResampler(format="flt", layout="stereo", rate=rate_hz)
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            blocks = [out.to_ndarray() for frame in container.decode(audio=0) for out in resampler.resample(frame)]
            blocks += [out.to_ndarray() for out in resampler.resample(None)]
    except (av.FFmpegError, IndexError) as error:
        raise MediaUnsupported(f"{path} cannot be decoded: {error}") from error
    if not blocks:
        return np.zeros((0, 2), np.float32)
    return np.asarray(np.concatenate(blocks, axis=1), dtype=np.float32).reshape(-1, 2)


def write_wav(path: Path, audio: Stereo, *, rate_hz: int) -> None:
    """Write 16-bit PCM; values beyond full scale are clipped."""
    samples = np.round(np.clip(audio, -1.0, 1.0) * 32767.0).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(audio.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.tobytes())


def write_movie(path: Path, audio: Stereo, *, rate_hz: int, frame_rate: Fraction) -> None:
    """Write a QuickTime file: 24-bit PCM beside a small video of the same length, both from time zero.

    The same audio gives the same bytes.
    """
    with av.open(str(path), "w", format="mov", options={"fflags": "+bitexact"}) as container:
        picture = cast("VideoStream", container.add_stream("mjpeg", rate=frame_rate))
        picture.width, picture.height, picture.pix_fmt = _VIDEO_WIDTH, _VIDEO_HEIGHT, "yuvj420p"
        sound = cast("AudioStream", container.add_stream("pcm_s24le", rate=rate_hz, layout="stereo"))
        frames = int(audio.shape[0] * frame_rate / rate_hz)
        for block, image in zip(_blocks(audio, frames, rate_hz), _images(frames), strict=True):
            container.mux(picture.encode(image))
            container.mux(sound.encode(block))
        container.mux(picture.encode(None))
        container.mux(sound.encode(None))


def _blocks(audio: Stereo, count: int, rate_hz: int) -> Iterator[av.AudioFrame]:
    """Give the audio in as many pieces as there are video frames, so that the streams are interleaved."""
    samples = (np.clip(audio, -1.0, 1.0) * (2**31 - 256)).astype(np.int32)
    starts = np.linspace(0, audio.shape[0], count + 1).astype(int)
    for start, stop in itertools.pairwise(starts):
        frame = av.AudioFrame.from_ndarray(samples[start:stop].reshape(1, -1), format="s32", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, int(start), Fraction(1, rate_hz)
        yield frame


def _images(count: int) -> Iterator[av.VideoFrame]:
    """Give a grey picture over which a bright bar wanders, so that frames can be told apart."""
    for index in range(count):
        picture = np.full((_VIDEO_HEIGHT, _VIDEO_WIDTH, 3), 48, np.uint8)
        bar = 2 * index % _VIDEO_WIDTH
        picture[:, bar : bar + 4] = 220
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts = index
        yield frame
