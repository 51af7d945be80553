"""Cepstral shape of the spectrum."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import mel
from sync_core.analysis.methods import base
from sync_core.analysis.track import Track
from sync_core.domain.methods import Method

COEFFICIENTS: Final = 13
_LOCAL_HOPS: Final = int(base.LOCAL_SECONDS * mel.HOP_RATE_HZ)
_SMALLEST_CHANGE: Final = 0.05
_BASIS: Final = base.cosine_basis(mel.BANDS, COEFFICIENTS)


class Mfcc:
    """How the spectrum's shape changes: slopes of mel cepstral coefficients 1 to 13.

    Coefficient 0, the level, is left out, so that fader moves and compression don't count.

    References
    ----------
    Davis and Mermelstein, Comparison of parametric representations for monosyllabic word recognition (1980).
    """

    method = Method.MFCC

    def features(self, track: Track) -> base.Features:
        values = base.quantised(track.log_mel, _cepstral_slopes, COEFFICIENTS, context_hops=_LOCAL_HOPS)
        return base.Features(values, mel.HOP_RATE_HZ)


def _cepstral_slopes(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    return base.level(base.slope(log_mel @ _BASIS, reach=2), _LOCAL_HOPS, _SMALLEST_CHANGE)
