"""Where a join is placed when neither side is heard about it."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis.boundaries import Steps, place_join

STEPS, INSERTED, LEAST_GAP = 1_600, 700, 400


def heard(first: int, last: int, seed: int) -> Steps:
    agreement = np.random.default_rng(seed).normal(0.0, 0.02, STEPS)
    agreement[first:last] += 0.5
    return Steps(agreement, np.ones(STEPS), 0.045)


@pytest.mark.parametrize("seed", range(8))
def test_an_insert_whose_edges_are_hidden_lies_in_the_middle_of_where_it_may_be(seed: int) -> None:
    one, other = heard(0, 300, seed), heard(1_200, STEPS, seed + 100)
    end, start = place_join(one, other, (0.5, 0.5), inserted_steps=INSERTED, least_gap_steps=LEAST_GAP)
    assert start - end == INSERTED
    assert end == pytest.approx(400, abs=60)
