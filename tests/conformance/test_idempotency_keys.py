"""IdempotencyKeys: one resource per key and content."""

from __future__ import annotations

import asyncio

import pytest

from sync_core.domain.errors import IdempotencyConflict
from sync_core.jobs.ports.backend import Backend
from tests.fakes.clock import FakeClock


async def claim(backend: Backend, clock: FakeClock, key: str, fingerprint: str, resource_id: str) -> str:
    return await backend.idempotency_keys.claim(key, fingerprint=fingerprint, resource_id=resource_id, now=clock.now())


async def test_the_same_key_and_content_give_the_first_resource(backend: Backend, clock: FakeClock) -> None:
    assert await claim(backend, clock, "upload/k", "aa", "batch_1") == "batch_1"
    clock.advance(3600)
    assert await claim(backend, clock, "upload/k", "aa", "batch_2") == "batch_1"


async def test_the_same_key_with_other_content_is_a_conflict(backend: Backend, clock: FakeClock) -> None:
    await claim(backend, clock, "upload/k", "aa", "batch_1")
    with pytest.raises(IdempotencyConflict):
        await claim(backend, clock, "upload/k", "bb", "batch_2")
    assert await claim(backend, clock, "upload/k", "aa", "batch_3") == "batch_1"


async def test_other_keys_are_other_requests(backend: Backend, clock: FakeClock) -> None:
    keys = ("upload/k", "upload/K", "start/k", "upload/ k", "é" * 300)
    assert [await claim(backend, clock, key, "aa", key) for key in keys] == list(keys)


async def test_claims_at_the_same_time_agree(backend: Backend, clock: FakeClock) -> None:
    claims = (claim(backend, clock, "upload/k", "aa", f"batch_{n}") for n in range(32))
    assert len(set(await asyncio.gather(*claims))) == 1


async def test_conflicting_claims_at_the_same_time_have_one_winner(backend: Backend, clock: FakeClock) -> None:
    claims = (claim(backend, clock, "upload/k", f"content {n}", f"batch_{n}") for n in range(16))
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(isinstance(outcome, str) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, IdempotencyConflict) for outcome in outcomes) == 15


async def test_a_key_is_found_once_it_is_claimed(backend: Backend, clock: FakeClock) -> None:
    assert await backend.idempotency_keys.find("upload/k") is None
    await claim(backend, clock, "upload/k", "aa", "batch_1")
    assert await backend.idempotency_keys.find("upload/k") == "batch_1"
    assert await backend.idempotency_keys.find("upload/K") is None
