"""A small storm: every event arrives at least once under one id; `make soak ARGS=webhooks` goes through a large one."""

from __future__ import annotations

from tests.soak.webhooks import EVENTS_PER_BATCH, Plan, storm


async def test_every_event_arrives_at_least_once_under_one_id():
    stormed = await storm(Plan(batches=20, seed=7, deaths=1, longest_seconds=100))
    assert stormed.replies["taken"] >= 20 * EVENTS_PER_BATCH
    assert len(stormed.replies) > 4
