"""What speaks for an answer, and what stands beside it."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis.assemble import Sides, evidence_of
from sync_core.analysis.fit import Fit
from sync_core.analysis.hypotheses import Checked
from sync_core.analysis.line import Line
from sync_core.analysis.pieces import Piece
from sync_core.analysis.track import ANALYSIS_RATE_HZ, Track

SIZE = 150 * ANALYSIS_RATE_HZ
SIDE = Track(np.zeros(SIZE, np.float32), 0.0, np.zeros((0, 32), np.float16))


@pytest.mark.parametrize(("slope", "rivalry"), [(1.0, 0.9), (1.000_2, 0.9), (24 / 23.976, 0.2)])
def test_an_answer_at_another_speed_is_not_weighed_by_how_it_stands_out_at_the_masters(slope, rivalry):
    line = Line(0.0, slope, 0, SIZE)
    fit = Fit(line, 200.0, 1.0, 1e-6, 1e-9, 75.0, 1, np.arange(10.0), np.full(10, 60.0))
    checked = [Checked(0, {}, 88.0, distinction=5.0), Checked(40 * ANALYSIS_RATE_HZ, {}, 40.0, distinction=4.5)]
    assert evidence_of(Sides(SIDE, SIDE), [Piece(fit, 0, SIZE)], checked).rivalry == pytest.approx(rivalry)
