"""The scaling rule follows a surge up and down once, loses nothing, and is not much slower than the best."""

from __future__ import annotations

import pytest

from tests.autoscaling.plot import PLOT, draw, play
from tests.autoscaling.simulation import Simulation, ideal_seconds, surge, turns

SEEDS = range(5)


@pytest.fixture(scope="module", params=SEEDS)
def played(request) -> Simulation:
    simulation = surge(request.param)
    simulation.run(hours=4)
    return simulation


def test_every_item_is_done_once(played: Simulation):
    assert len(played.done) == len(set(played.done)) == 2000
    assert played.interrupted, "Spot must have taken some work away, or this shows nothing"


def test_workers_grow_once_and_shrink_once(played: Simulation):
    desired = [sample.desired for sample in played.samples]
    assert turns(desired) == 1, desired
    assert max(desired) == played.rule.most_workers


def test_it_ends_with_no_worker(played: Simulation):
    assert (played.desired, played.workers) == (0, [])


def test_the_queue_is_drained_within_one_and_a_half_times_the_ideal(played: Simulation):
    assert played.drained_at is not None
    assert played.drained_at <= 1.5 * ideal_seconds(played)


def test_a_single_small_batch_gets_a_worker_and_gives_it_back():
    simulation = surge(0, batches=1, items=2)
    simulation.run(hours=1.5)
    assert len(simulation.done) == 2
    assert max(sample.desired for sample in simulation.samples) <= 2
    assert simulation.desired == 0


def test_a_batch_keeps_only_its_window_in_the_queue():
    simulation = surge(0)
    assert len(simulation.waiting) == 100 * 4


def test_the_plot_in_the_docs_shows_this_rule():
    assert PLOT.read_text() == draw(play()), "run: python -m tests.autoscaling.plot"
