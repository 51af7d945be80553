"""The embedded store sees the queue beside it, so that nothing counts as lost that is on its way."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.workshop import Workshop, open_workshop


async def stalled(shop: Workshop) -> list[int]:
    return [item.index for item in await shop.backend.batch_store.stalled(now=shop.clock.now(), limit=10)]


async def test_an_item_that_only_waits_its_turn_does_not_stall(data_dir: Path) -> None:
    async with open_workshop(data_dir) as shop:
        await shop.started(3, parallel_jobs=2)
        shop.clock.advance(100_000)
        assert await stalled(shop) == []
        await shop.backend.work_queue.delete(await shop.receive())
        assert await stalled(shop) == [0]


async def test_an_item_whose_only_message_is_dead_stalls(data_dir: Path) -> None:
    async with open_workshop(data_dir, max_receives=1) as shop:
        await shop.started(1)
        await shop.receive(visibility_seconds=1.0)
        shop.clock.advance(100)
        assert await stalled(shop) == []
        assert await shop.receive_if_any() is None
        assert await stalled(shop) == [0]
