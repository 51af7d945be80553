"""From channels to mono, so that no single bad channel spoils the mix.

A plain downmix goes silent where one channel is the other turned over, and is led by dialogue, which is what master and
dub do not share. So the mix looks at what the channels hold:

- a channel that is correlated negatively with the mix of the louder ones is added with its sign turned;
- a dead channel adds nothing, and takes nothing away from the others;
- the centre of a surround layout counts half (dialogue), the LFE not at all, unless there is nothing else.

The correlations are summed up from the file's start, block by block, on every few samples; weights move in ramps.
Channels are not levelled: nothing tells a loud bad one from a loud good one. `#ch:` picks one where that is needed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_CENTRE_WEIGHT = 0.5
_TURN_BELOW = -0.3
_TURN_BACK_ABOVE = 0.1
"""Correlations at which a channel's sign is turned, and turned back; between them it stays as it is."""
_EVERY = 32
"""Correlations are taken on few of the samples: aliasing does not change their sign."""


class Mixer:
    """Mixes the blocks of one stream to mono.

    Parameters
    ----------
    channels
        Names of the channels, such as `("FL", "FR", "FC", "LFE", "BL", "BR")`.
    """

    def __init__(self, channels: Sequence[str]) -> None:
        self._base = _base_weights(channels)
        self._signs = np.ones(len(channels))
        self._products = np.zeros((len(channels), len(channels)))
        self._weights: NDArray[np.float64] | None = None

    def mix(self, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mix a block.

        Parameters
        ----------
        planes : [shape=(channels, n), float32, finite]

        Returns
        -------
        mono : [shape=(n,), float32]
        """
        if len(planes) == 1:
            return planes.reshape(-1)
        self._observe(planes)
        weights = self._choose_weights()
        before = self._weights
        self._weights = weights
        mono = _weighted(planes, weights)
        if before is None or np.array_equal(weights, before):
            return mono
        ramp = np.linspace(0.0, 1.0, planes.shape[1], dtype=np.float32)
        return np.asarray(_weighted(planes, before) * (1 - ramp) + mono * ramp)

    def _observe(self, planes: NDArray[np.float32]) -> None:
        sparse = planes[:, ::_EVERY].astype(np.float64)
        self._products += sparse @ sparse.T

    def _choose_weights(self) -> NDArray[np.float64]:
        weights = self._base
        if not np.any(weights * self._products.diagonal()):
            weights = np.ones(len(weights))
        self._choose_signs(weights)
        return np.asarray(weights * self._signs / (int(np.count_nonzero(weights)) or 1))

    def _choose_signs(self, weights: NDArray[np.float64]) -> None:
        """Add the channels up from the loudest on, each with the sign that does not cancel what is there already."""
        energies = self._products.diagonal()
        mixed = np.zeros(len(energies))
        for channel in np.argsort(-energies * weights**2, kind="stable"):
            together = np.sqrt(energies[channel] * (mixed @ self._products @ mixed))
            correlation = (self._products[channel] @ mixed) / together if together > 0 else 0.0
            threshold = _TURN_BELOW if self._signs[channel] > 0 else _TURN_BACK_ABOVE
            if together > 0:
                self._signs[channel] = -1.0 if correlation < threshold else 1.0
            mixed[channel] = weights[channel] * self._signs[channel]


def _weighted(planes: NDArray[np.float32], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(weights.astype(np.float32) @ planes)


def _base_weights(channels: Sequence[str]) -> NDArray[np.float64]:
    if len(channels) < 3:
        return np.ones(len(channels))
    special = {"FC": _CENTRE_WEIGHT, "LFE": 0.0, "LFE2": 0.0}
    return np.array([special.get(name, 1.0) for name in channels])
