"""Where a join is placed when neither side is heard about it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sync_core.analysis.boundaries import Steps, place_join

STEPS, INSERTED, LEAST_GAP = 1_600, 700, 400


def heard(first: int, last: int, seed: int) -> Steps:
    agreement = np.random.default_rng(seed).normal(0.0, 0.02, STEPS)
    agreement[first:last] += 0.5
    return Steps(agreement, np.ones(STEPS), 0.045)


@pytest.mark.parametrize("seed", range(8))
def test_an_insert_whose_edges_are_hidden_lies_in_the_middle_of_where_it_may_be(seed: int) -> None:
    one, other = heard(0, 300, seed), heard(1_200, STEPS, seed + 100)
    end, start = placed(one, other, np.full(STEPS + 1, -5.0))
    assert start - end == INSERTED
    assert end == pytest.approx(400, abs=60)


@pytest.mark.parametrize("seed", range(8))
def test_an_insert_whose_edges_are_hidden_lies_where_both_its_ends_are_spliced(seed: int) -> None:
    one, other = heard(0, 300, seed), heard(1_200, STEPS, seed + 100)
    assert placed(one, other, marked_at(460, 460 + INSERTED)) == (460, 460 + INSERTED)


@pytest.mark.parametrize("seed", range(8))
def test_one_mark_alone_is_a_sound_of_the_programme(seed: int) -> None:
    one, other = heard(0, 300, seed), heard(1_200, STEPS, seed + 100)
    assert placed(one, other, marked_at(460)) == placed(one, other, np.full(STEPS + 1, -5.0))


@pytest.mark.parametrize("seed", range(8))
def test_marks_do_not_outweigh_what_is_heard(seed: int) -> None:
    one, other = heard(0, 450, seed), heard(450 + INSERTED, STEPS, seed + 100)
    end, start = placed(one, other, marked_at(400, 400 + INSERTED))
    assert (end, start) == (pytest.approx(450, abs=2), pytest.approx(450 + INSERTED, abs=2))


def placed(one: Steps, other: Steps, splices: NDArray[np.float64]) -> tuple[int, int]:
    return place_join(
        one, other, (0.5, 0.5), splices=lambda: splices, inserted_steps=INSERTED, least_gap_steps=LEAST_GAP
    )


def marked_at(*edges: int) -> NDArray[np.float64]:
    splices = np.full(STEPS + 1, -5.0)
    splices[list(edges)] = 6.0
    return splices
