"""Which line the dub lies on, moment by moment."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import path
from sync_core.analysis.path import Run


@pytest.mark.parametrize("stray", [None, 10, 390])
def test_a_row_that_agrees_by_chance_does_not_stretch_a_run(stray):
    scores = np.full((1, 400), 0.8)
    scores[0, 200:300] = 20.0
    if stray is not None:
        scores[0, stray] = 5.0
    lines = [run for run in path.best_path(path.emissions(scores)) if run.line != path.GAP]
    assert lines == [Run(0, 200, 300)]


def test_a_run_goes_on_where_its_line_is_often_not_heard():
    scores = np.full((1, 400), 0.8)
    scores[0, ::4] = 9.0
    assert path.best_path(path.emissions(scores)) == [Run(0, 0, 400)]


@pytest.mark.parametrize("at_start", [True, False])
def test_unlike_material_is_sooner_believed_before_and_after_what_a_dub_shares_than_within(at_start):
    unheard = np.full(80, -6.0 / 80)
    heard = np.full(120, 3.0)

    at_an_end = np.concatenate([unheard, heard] if at_start else [heard, unheard])
    (run,) = [run for run in path.best_path(at_an_end[None]) if run.line != path.GAP]
    assert run == (Run(0, 80, 200) if at_start else Run(0, 0, 120))

    within = np.concatenate([heard, unheard, heard])
    assert path.best_path(within[None]) == [Run(0, 0, 320)]
