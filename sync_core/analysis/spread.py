"""How far the values of a correlation scatter where nothing agrees."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_NOISE_OF_MAD = 0.6745
"""Median magnitude of normal noise of unit variance."""


def spread(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Estimate each row's standard deviation from the median magnitude, so that the peaks do not count.

    numpy's own median takes nearly twice as long, and the first one 10 ms more.
    """
    sizes = np.abs(values)
    middle = sizes.shape[-1] // 2
    sizes.partition(middle, axis=-1)
    return np.asarray(sizes[..., middle] / _NOISE_OF_MAD, np.float64)
