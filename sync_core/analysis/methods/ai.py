"""Embeddings of a model, compared like any other feature.

The models are not known here: whoever calls the analysis hands in what a model made of both recordings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import mel
from sync_core.analysis.methods import base
from sync_core.analysis.track import Track
from sync_core.domain.methods import Method

DIMS: Final = 64
"""Directions that are kept of an embedding."""

_SMALLEST_MOVE: Final = 0.05
_LEAST_VARIANCE: Final = 1e-6
_FADE_HOPS: Final = 8
_REACH_HOPS, _PASS, _KAISER_BETA = 16, 0.85, 8.0
"""Interpolation: taps to either side in hops of the model, pass band in parts of what those hold, images at -80 dB."""
_SILENT: Final = float(mel.log_mel(np.zeros(mel.WINDOW_SAMPLES, np.float32)).max())
_AUDIBLE_NEPERS: Final = 0.7
"""A hop whose loudest band is below twice the floor is silent, whatever a model says about silence."""


@dataclass(frozen=True, slots=True)
class Basis:
    """The directions in which the embeddings of a pair differ most, each scaled to unit variance.

    Attributes
    ----------
    mean : [shape=(n_dims,), float32]
    directions : [shape=(n_dims, n_kept), float32]
    """

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]

    @classmethod
    def fit(cls, embeddings: Sequence[NDArray[np.float32]]) -> Basis:
        """Find the directions from samples of both recordings [each shape=(n_hops, n_dims), float32].

        The result does not depend on the order of the samples but for rounding, so that swapping master and dub
        swaps the features.
        """
        rows = np.concatenate(embeddings).astype(np.float64)
        mean = rows.mean(axis=0) if len(rows) else np.zeros(rows.shape[1])
        variances, vectors = np.linalg.eigh((rows - mean).T @ (rows - mean) / max(len(rows), 1))
        best = np.argsort(variances)[::-1][:DIMS]
        floor = max(_LEAST_VARIANCE * float(variances[best[0]]), float(np.finfo(np.float32).tiny))
        scale = np.where(variances[best] > floor, 1.0 / np.sqrt(np.maximum(variances[best], floor)), 0.0)
        return cls(mean.astype(np.float32), (vectors[:, best] * scale).astype(np.float32))

    def project(self, embedding: NDArray[np.float32]) -> NDArray[np.float16]:
        """Coordinates of each hop [shape=(n_hops, n_kept), float16, standard deviations]."""
        return np.asarray(np.dot(embedding - self.mean, self.directions), np.float16)


@dataclass(frozen=True, slots=True)
class Embedded:
    """What a model made of a recording, where it was run.

    Attributes
    ----------
    values : [shape=(n_hops, n_dims), float16, standard deviations]
        Coordinates in the `Basis` of the pair; anything where not `known`.
    known : [shape=(n_hops,), bool]
        Whether the model was run there.
    hop_samples, first_centre
        Hop k is about the sound around sample `hop_samples * k + first_centre`; hops are multiples of 10 ms.
    """

    values: NDArray[np.float16]
    known: NDArray[np.bool_]
    hop_samples: int
    first_centre: float

    def __post_init__(self) -> None:
        if self.hop_samples % mel.HOP_SAMPLES:
            raise ValueError(f"hops of {self.hop_samples} samples are no multiple of {mel.HOP_SAMPLES}")

    @property
    def factor(self) -> int:
        """Hops of the analysis in one hop of the model."""
        return self.hop_samples // mel.HOP_SAMPLES

    @property
    def shift(self) -> int:
        """By how many of its hops the analysis leads; what a rounding leaves is the same in both recordings."""
        return round((mel.WINDOW_SAMPLES / 2 - self.first_centre) / mel.HOP_SAMPLES)


class Ai:
    """How a recording moves through a model's space, against its own habit of the last seconds.

    What stays the same (the room, the loudness, a model's answer to silence) falls out; hops at which the model was
    not run, and silent ones, are zero and count as silence does elsewhere.
    """

    method = Method.AI

    def __init__(self, embedded: Callable[[Track], Embedded]) -> None:
        self._embedded = embedded

    def features(self, track: Track) -> base.Features:
        seen = self._embedded(track)
        values = np.zeros((seen.values.shape[1], len(track.log_mel)), np.int8)
        heard = _on_grid(np.repeat(seen.known, seen.factor), values.shape[1], seen.shift) & _audible(track.log_mel)
        context = max(int(base.LOCAL_SECONDS * mel.HOP_RATE_HZ) // seen.factor, 3)
        for dim in range(len(values) if len(seen.values) else 0):
            moves = _moves(seen.values[:, dim].astype(np.float32), seen.known, context)
            finer = _on_grid(_interpolated(moves, seen.factor), values.shape[1], seen.shift)
            values[dim] = np.rint(np.clip(finer * heard, -base.CLIP, base.CLIP) * base.FULL_SCALE)
        return base.Features(values, mel.HOP_RATE_HZ)


def _interpolated(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Put `factor - 1` values between each two, band-limited.

    The grid of the coarser hops must leave no trace: any two recordings have it, and would correlate at lag 0.
    """
    if factor == 1:
        return values
    import scipy.signal  # takes half a second, which every start of a process would pay at the top of this file

    reach = _REACH_HOPS * factor
    taps = factor * scipy.signal.firwin(2 * reach + 1, _PASS / factor, window=("kaiser", _KAISER_BETA))
    finer = np.asarray(scipy.signal.upfirdn(taps, values, factor), np.float32)
    return finer[reach : reach + factor * values.size]


def _on_grid(values: NDArray[Any], hops: int, shift: int) -> NDArray[Any]:
    """Row k of the result is row `k + shift`, or zero where there is none."""
    out = np.zeros(hops, values.dtype)
    first, last = max(-shift, 0), min(hops, values.size - shift)
    if last > first:
        out[first:last] = values[first + shift : last + shift]
    return out


def _audible(log_mel: NDArray[np.float16]) -> NDArray[np.bool_]:
    return np.asarray(log_mel.max(axis=1) > _SILENT + _AUDIBLE_NEPERS)


def _moves(values: NDArray[np.float32], known: NDArray[np.bool_], context: int) -> NDArray[np.float32]:
    """One coordinate without its local mean, in units of its local size, 0 where not known [shape=(n_hops,)]."""
    weight = known.astype(np.float32)[:, None]
    share = np.maximum(base.local_mean(weight, context), 1e-6)
    column = np.where(weight > 0, values[:, None], np.float32(0.0))
    moved = (column - base.local_mean(column, context) / share) * weight
    size = base.local_mean(np.abs(moved), context) / share
    return np.asarray((moved / np.maximum(size, _SMALLEST_MOVE))[:, 0], np.float32) * _fade(known)


def _fade(known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Rise and fall smoothly at the ends of what is known: hard edges are alike in any two recordings."""
    import scipy.ndimage  # as scipy.signal above

    taper = np.hanning(2 * _FADE_HOPS + 3)[1:-1]
    inside = scipy.ndimage.minimum_filter1d(known.astype(np.float32), taper.size, mode="constant")
    return np.asarray(scipy.ndimage.convolve1d(inside, taper / taper.sum(), mode="constant"), np.float32)
