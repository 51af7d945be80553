"""Fourier transforms of real arrays along their last axis, and the lengths that they are fast at.

They are numpy's, which are as fast as scipy's if its loops for single precision are used; importing scipy takes a
quarter of a second.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

_ODD_PARTS: tuple[int, ...] = tuple(sorted({3**i * 5**j * 7**k for i in range(4) for j in range(3) for k in range(2)}))
"""Each odd factor takes longer than the same in twos: these leave lengths close enough to each other."""


def rfft(values: NDArray[np.floating], size: int | None = None) -> NDArray[np.complex64]:
    """Transform rows, filled up with zeros to `size` [shape=(..., size // 2 + 1), complex64 for float32 input]."""
    # Without a scale of the values' own precision numpy picks its loop for doubles, which takes half as long again.
    spectra = np.fft.rfft(_filled_up(values, size) if size else values, norm="forward")
    spectra *= np.float32(size or values.shape[-1])
    return np.asarray(spectra)


def _filled_up(values: NDArray[np.floating], size: int) -> NDArray[np.floating]:
    """Append zeros, or cut; numpy's own filling takes longer than its transform."""
    filled = np.zeros((*values.shape[:-1], size), values.dtype)
    filled[..., : values.shape[-1]] = values[..., :size]
    return filled


def irfft(spectra: NDArray[np.complexfloating], size: int) -> NDArray[np.float32]:
    """Transform spectra back [shape=(..., size), float32 for complex64 input]."""
    return np.asarray(np.fft.irfft(spectra, size))


@lru_cache(maxsize=64)
def fast_length(least: int) -> int:
    """Find the smallest even length from `least` on that is a power of two times one of a few odd numbers.

    Examples
    --------
    >>> fast_length(1001)
    1008
    >>> fast_length(4096)
    4096
    """
    return min(part << max((-(-least // part) - 1).bit_length(), 1) for part in _ODD_PARTS)
