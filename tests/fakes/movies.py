"""QuickTime files that look large: their pictures are zeros, which take no room on a disk that knows sparse files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE_HZ, FRAME_RATE = 48_000, 25
_WIDTH = 320
_PAGE = 4096


@dataclass(frozen=True, slots=True)
class Movie:
    """What to write; `picture_lines` of 960 bytes make a picture, `chunk_seconds` is the interleave."""

    seconds: int
    picture_lines: int = 360
    chunk_seconds: float = 0.5
    moov_in_front: bool = False
    codec: str = "pcm_s24le"

    @property
    def audio_bytes(self) -> int:
        return self.seconds * RATE_HZ * 2 * 3


def write_movie(path: Path, movie: Movie) -> Path:
    """Write uncompressed pictures of zeros beside stereo noise."""
    options = {"chunk_duration": str(round(movie.chunk_seconds * 1e6))} if movie.chunk_seconds else {}
    options |= {"moov_size": str(100_000 + 1_000 * movie.seconds)} if movie.moov_in_front else {}
    with path.open("wb") as file, av.open(_Sparse(file), "w", format="mov", container_options=options) as container:
        pictures = container.add_stream("rawvideo", rate=FRAME_RATE)
        pictures.width, pictures.height, pictures.pix_fmt = _WIDTH, movie.picture_lines, "rgb24"
        sound = container.add_stream(movie.codec, rate=RATE_HZ, layout="stereo")
        black = av.VideoFrame.from_ndarray(np.zeros((movie.picture_lines, _WIDTH, 3), np.uint8), format="rgb24")
        rng = np.random.default_rng(movie.seconds)
        for number in range(movie.seconds * FRAME_RATE):
            black.pts, black.time_base = number, Fraction(1, FRAME_RATE)
            container.mux(pictures.encode(black))
            container.mux(sound.encode(_noise(rng, number, sound.codec_context.format.name)))
        container.mux(pictures.encode(None))
        container.mux(sound.encode(None))
    return path


def _noise(rng: np.random.Generator, number: int, kind: str) -> av.AudioFrame:
    count = RATE_HZ // FRAME_RATE
    dtype, high = {"s32": (np.int32, 2**29), "s16": (np.int16, 2**13), "fltp": (np.float32, 1)}[kind]
    samples = (
        rng.integers(-(2**29), 2**29, (2, count)) // (2**29 // high) if high > 1 else rng.uniform(-0.3, 0.3, (2, count))
    )
    planes = samples.astype(dtype) if kind.endswith("p") else samples.astype(dtype).T.reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(planes), kind, "stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, number * count, Fraction(1, RATE_HZ)
    return frame


class _Sparse:
    """A file to write to that leaves holes where zeros are written."""

    def __init__(self, file) -> None:
        self._file = file

    def write(self, content: bytes) -> int:
        if len(content) >= _PAGE and not content.strip(b"\0"):
            self._file.seek(len(content), os.SEEK_CUR)
        else:
            self._file.write(content)
        return len(content)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
