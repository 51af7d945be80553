"""What a method is, and the arithmetic that the signal methods share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis.track import Track
from sync_core.domain.methods import Method

FULL_SCALE = 32
"""Quantised features hold 32 steps per unit; a unit is a feature's typical local size."""
CLIP = 3.5
LOCAL_SECONDS = 3.0
CHUNK_HOPS = 12_288

_ROWS_PER_PIECE = 16


@dataclass(frozen=True, slots=True)
class Features:
    """A sequence of feature vectors.

    Attributes
    ----------
    values : [shape=(n_dims, n_hops), int8, 1/32 of the local size]
        Zero-mean and scaled to the local level, so that products of two recordings add up fairly over time. A stretch
        without content (digital silence) is all zeros.
    rate_hz
        Hops per second; hop k of a track starts at `k / rate_hz` after its first sample.
    """

    values: NDArray[np.int8]
    rate_hz: int

    @property
    def duration_seconds(self) -> float:
        return float(self.values.shape[1] / self.rate_hz)

    def at_half_rate(self) -> Features:
        """Average each two hops; an odd one at the end is left out."""
        hops = self.values.shape[1] // 2 * 2
        values = np.empty((len(self.values), hops // 2), np.int8)
        for row, mean in zip(self.values, values, strict=True):
            mean[:] = np.rint((row[:hops:2].astype(np.float32) + row[1:hops:2]) * np.float32(0.5))
        return Features(values, self.rate_hz // 2)


class OffsetMethod(Protocol):
    """A way of looking at a recording in which the same programme looks alike.

    A method turns a track into features; candidates, refinement and confidence are made of them in the same way for
    every method. Features of two tracks must match hop by hop when the tracks hold the same programme, must not
    depend on gain, and must be zero in silence.
    """

    @property
    def method(self) -> Method: ...

    def features(self, track: Track) -> Features: ...


Transform = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def quantised(log_mel: NDArray[np.float16], transform: Transform, dims: int, *, context_hops: int) -> NDArray[np.int8]:
    """Apply a transform chunk by chunk, so that memory stays flat, and quantise what comes out.

    Parameters
    ----------
    log_mel : [shape=(n_hops, n_bands), float16, nepers]
    transform
        Maps energies [shape=(n, n_bands), float32] to features [shape=(n, dims), float32]. A row may depend on rows
        up to `context_hops` away.

    Returns
    -------
    values : [shape=(dims, n_hops), int8, 1/32]
    """
    hops = len(log_mel)
    values = np.zeros((dims, hops), np.int8)
    for start in range(0, hops, CHUNK_HOPS):
        first, last = max(start - context_hops, 0), min(start + CHUNK_HOPS + context_hops, hops)
        stop = min(start + CHUNK_HOPS, hops)
        energies = log_mel[first:last]
        if _is_constant(energies):  # nothing changes in silence
            continue
        rows = transform(energies.astype(np.float32))[start - first : stop - first]
        rows = np.clip(rows, -CLIP, CLIP)
        rows *= FULL_SCALE
        values[:, start:stop] = np.rint(rows, out=rows).T
    return values


def _is_constant(rows: NDArray[np.float16]) -> bool:
    """Whether all rows are the same bit by bit, which is compared in larger pieces than half floats."""
    return bool((rows[-1] == rows[0]).all()) and rows.tobytes() == rows[0].tobytes() * len(rows)


def slope(values: NDArray[np.float32], reach: int = 1) -> NDArray[np.float32]:
    """Difference between the hops `reach` after and before each hop; 0 at both ends."""
    out = np.zeros_like(values)
    if len(values) > 2 * reach:
        np.subtract(values[2 * reach :], values[: -2 * reach], out=out[reach:-reach])
    return out


def local_mean(values: NDArray[np.float32], hops: int) -> NDArray[np.float32]:
    """Mean over `hops` hops around each hop; at the ends over those that exist."""
    count, half = len(values), hops // 2
    total = np.zeros((count + 1 + 2 * half, values.shape[1]), np.float64)
    total[half + 1 : half + 1 + count] = _running_sums(values)
    total[half + 1 + count :] = total[half + count]
    at = np.arange(count)
    lengths = np.minimum(at + half + 1, count) - np.maximum(at - half, 0)
    means = total[2 * half + 1 :] - total[:count]
    means *= (1.0 / lengths)[:, None]
    return means.astype(np.float32)


def _running_sums(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum up the rows from the first on, in pieces at the same time: `np.cumsum` alone takes twice as long."""
    pieces = -(-len(values) // _ROWS_PER_PIECE)
    padded = np.zeros((pieces * _ROWS_PER_PIECE, values.shape[1]), np.float64)
    padded[: len(values)] = values
    sums = padded.reshape(pieces, _ROWS_PER_PIECE, -1)
    for row in range(1, _ROWS_PER_PIECE):
        sums[:, row] += sums[:, row - 1]
    sums[1:] += np.cumsum(sums[:-1, -1], axis=0)[:, None]
    return padded[: len(values)]


def level(values: NDArray[np.float32], hops: int, floor: float) -> NDArray[np.float32]:
    """Divide by the local mean magnitude, which counts as `floor` where it is smaller."""
    return np.asarray(values / np.maximum(local_mean(np.abs(values), hops), floor), np.float32)


def cosine_basis(bands: int, count: int) -> NDArray[np.float32]:
    """Columns 1 to `count` of the orthonormal DCT-II over `bands` bands [shape=(bands, count), float32]."""
    angles = np.pi / bands * np.outer(np.arange(bands) + 0.5, np.arange(1, count + 1))
    return np.asarray(np.sqrt(2.0 / bands) * np.cos(angles), np.float32)
