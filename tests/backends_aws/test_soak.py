"""A small soak test: worker processes, killed, behind a proxy that spoils requests. `make soak` is the large one."""

from __future__ import annotations

import pytest

from tests.soak.aws import Plan, soak

PLAN = Plan(items=200, workers=3, slots=4, window=24, faults=0.08, items_per_death=60, lease_seconds=6.0)
MOST_REQUESTS_PER_ITEM = 8


@pytest.mark.timeout(600)  # it takes a tenth of that where nothing else runs
async def test_every_item_ends_once_and_costs_what_it_may():
    soaked = await soak(PLAN)
    assert soaked.deaths >= 1
    assert {"conflict", "failed", "lost", "throttled"} <= set(soaked.faults)
    costs = soaked.requests_of_undisturbed
    assert costs, "every single item was disturbed"
    assert max(costs) <= MOST_REQUESTS_PER_ITEM
