"""A stretch of the dub on one straight line against the master, in samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Line:
    """`master_sample = slope * dub_sample + lag` for dub samples from `start_sample` up to `stop_sample`.

    Samples are counted from each track's first sample; `lag` and `slope` are exact, not whole.
    """

    lag: float
    slope: float
    start_sample: int
    stop_sample: int

    def master_samples(self, dub_samples: NDArray[np.int64]) -> NDArray[np.float64]:
        """Where in the master dub samples lie [float64, samples]."""
        return np.asarray(self.slope * dub_samples + self.lag, np.float64)

    def distance(self, other: Line, at: int) -> float:
        """How far two lines lie apart at a dub sample, samples."""
        return abs((self.slope - other.slope) * at + self.lag - other.lag)
