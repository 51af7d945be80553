"""What turns sound into vectors that name its content.

Hop k of an embedding is about the sound around one sample, its centre: `hop_samples * k + first_centre`. Half a sample
may be meant: an even number of samples has its centre between two.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ: Final = 16_000

OnProgress = Callable[[float], None]


def ignore(fraction: float) -> None:
    """Take a progress report and do nothing with it."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Which samples a hop is about.

    Attributes
    ----------
    hop_samples
        From one hop's centre to the next.
    window_samples
        What a hop needs at the least; hop k begins at sample `hop_samples * k`.
    first_centre
        Centre of hop 0, in samples after the first one.
    margin_hops
        Hops that lie this near to either end of a piece come out a little different there than inside the whole.
    """

    hop_samples: int
    window_samples: int
    first_centre: float
    margin_hops: int

    @property
    def hop_seconds(self) -> float:
        return self.hop_samples / SAMPLE_RATE_HZ

    def centre_sample(self, hop: int) -> float:
        """Sample that hop `hop` is centred on.

        Examples
        --------
        >>> Geometry(320, 400, 199.5, 0).centre_sample(2)
        839.5
        """
        return self.hop_samples * hop + self.first_centre

    def hops(self, samples: int) -> int:
        """Count the hops that lie wholly inside so many samples."""
        return max((samples - self.window_samples) // self.hop_samples + 1, 0)


class Embedder(Protocol):
    """A model that is ready to run.

    Attributes
    ----------
    name
        Of the model, as `sync_core.domain.methods.AiModel` has it.
    dims
        Length of a vector.
    device, precision
        Where it runs and in what arithmetic: `cpu` or `cuda:0`; `float32`, `float16` or `bfloat16`.
    """

    @property
    def name(self) -> str: ...

    @property
    def geometry(self) -> Geometry: ...

    @property
    def dims(self) -> int: ...

    @property
    def device(self) -> str: ...

    @property
    def precision(self) -> str: ...

    def embed(self, samples: NDArray[np.float32], *, on_progress: OnProgress = ignore) -> NDArray[np.float32]:
        """Embed a recording piece by piece, so that memory does not grow with its length but by the result.

        Parameters
        ----------
        samples : [shape=(n,), float32]
            Mono, 16 kHz, finite; may be a memory map.
        on_progress
            Called with the fraction done after every piece. What it raises passes through.

        Returns
        -------
        embedding : [shape=(geometry.hops(n), dims), float32]
            Row k is about sample `geometry.centre_sample(k)`.
        """
        ...


class PieceEmbedder(Embedder, Protocol):
    """An embedder that runs on equal pieces of sound, several at once; of one recording, or of many.

    Attributes
    ----------
    chunk_hops
        Hops of a piece that are kept, at the most.
    pieces_at_once
        As many as the device takes, as far as that is known yet.
    """

    @property
    def chunk_hops(self) -> int: ...

    @property
    def pieces_at_once(self) -> int: ...

    def embed_pieces(self, pieces: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed pieces.

        Parameters
        ----------
        pieces : [shape=(n, samples), float32]
            Mono, 16 kHz, finite.

        Returns
        -------
        embeddings : [shape=(n, geometry.hops(samples), dims), float32]

        Raises
        ------
        DeviceFull, DeviceBroken
            If not even one piece fits into the device's memory; if the device failed for good.
        """
        ...


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a recording: the samples to look at, and which of its hops to keep and where they go."""

    samples: slice
    keep: slice
    hops: slice


def chunks(samples: int, geometry: Geometry, *, chunk_hops: int) -> Iterator[Chunk]:
    """Cut a recording into pieces that overlap by the margin on both sides.

    Every hop is kept once, from a piece in whose margins it is not, but at the ends of the recording.

    Examples
    --------
    >>> [piece.hops for piece in chunks(1_600, Geometry(320, 320, 159.5, 1), chunk_hops=3)]
    [slice(0, 3, None), slice(3, 5, None)]
    """
    hops = geometry.hops(samples)
    for start in range(0, hops, chunk_hops):
        stop = min(start + chunk_hops, hops)
        first, last = max(start - geometry.margin_hops, 0), min(stop + geometry.margin_hops, hops)
        end = (last - 1) * geometry.hop_samples + geometry.window_samples
        yield Chunk(slice(first * geometry.hop_samples, end), slice(start - first, stop - first), slice(start, stop))


def embed_in_pieces(model: PieceEmbedder, samples: NDArray[np.float32], on_progress: OnProgress) -> NDArray[np.float32]:
    """Embed a recording piece by piece, as `Embedder.embed` says."""
    hops = model.geometry.hops(samples.size)
    out = np.zeros((hops, model.dims), np.float32)
    for batch in _batches(model, samples.size):
        pieces = np.stack([np.asarray(samples[chunk.samples], np.float32) for chunk in batch])
        for chunk, rows in zip(batch, model.embed_pieces(pieces), strict=True):
            out[chunk.hops] = rows[chunk.keep]
        on_progress(batch[-1].hops.stop / hops)
    return out


def _batches(model: PieceEmbedder, samples: int) -> Iterator[list[Chunk]]:
    """Chunks of equal length, as many as the device takes at once."""
    pieces = chunks(samples, model.geometry, chunk_hops=model.chunk_hops)
    for _, alike in itertools.groupby(pieces, lambda chunk: chunk.samples.stop - chunk.samples.start):
        while batch := list(itertools.islice(alike, model.pieces_at_once)):
            yield batch
