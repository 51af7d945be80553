"""Band-wise energy slopes over the whole spectrum."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import mel
from sync_core.analysis.methods import base
from sync_core.analysis.track import Track
from sync_core.domain.methods import Method

_LOCAL_HOPS: Final = int(base.LOCAL_SECONDS * mel.HOP_RATE_HZ)
_SMALLEST_SLOPE: Final = 0.05


class Spectral:
    """How fast each mel band's log energy rises and falls, against that band's own habit of the last seconds.

    The most sensitive of the three: every band counts alike, so music that fills a few bands between lines of
    dialogue is seen at 30 dB below it.
    """

    method = Method.SPECTRAL

    def features(self, track: Track) -> base.Features:
        values = base.quantised(track.log_mel, _slopes, mel.BANDS, context_hops=_LOCAL_HOPS)
        return base.Features(values, mel.HOP_RATE_HZ)


def _slopes(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    return base.level(base.slope(log_mel), _LOCAL_HOPS, _SMALLEST_SLOPE)
