"""What turns sound into vectors that name its content.

Hop k of an embedding is about the sound around one sample, its centre: `hop_samples * k + first_centre`. Half a sample
may be meant: an even number of samples has its centre between two.
"""

from __future__ import annotations

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
