"""Energy rises in a few bands."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import mel
from sync_core.analysis.methods import base
from sync_core.analysis.track import Track
from sync_core.domain.methods import Method

GROUPS: Final = 8
_LOCAL_HOPS: Final = int(base.LOCAL_SECONDS * mel.HOP_RATE_HZ)
_SMALLEST_RISE: Final = 0.02
_MEANS: Final = np.kron(np.eye(GROUPS), np.full((mel.BANDS // GROUPS, 1), GROUPS / mel.BANDS)).astype(np.float32)
"""Averages each group's bands [shape=(bands, groups)]."""


class Onset:
    """Where energy rises, in eight groups of bands: attacks of music and effects.

    References
    ----------
    Boeck and Widmer, Maximum filter vibrato suppression for onset detection (2013), for rises in log mel energies.
    """

    method = Method.ONSET

    def features(self, track: Track) -> base.Features:
        values = base.quantised(track.log_mel, _rises, GROUPS, context_hops=2 * _LOCAL_HOPS)
        return base.Features(values, mel.HOP_RATE_HZ)


def _rises(log_mel: NDArray[np.float32]) -> NDArray[np.float32]:
    rises = np.maximum(base.slope(log_mel), np.float32(0.0))
    grouped = rises @ _MEANS
    return base.level(grouped - base.local_mean(grouped, _LOCAL_HOPS), _LOCAL_HOPS, _SMALLEST_RISE)
