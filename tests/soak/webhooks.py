"""Many batches told to a receiver that fails, hangs, redirects and answers 429 at random, by senders that die.

Everything is real but the schedule, whose delays are shortened: the embedded back end, a worker, senders over HTTP, and
a receiver that checks each request with the reference library. It takes each event within its ten attempts.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from handlers.settings import WorkerSettings
from handlers.worker import build_worker
from sync_core.backends.embedded.open import open_backend
from sync_core.backends.web.webhook_sender import HttpWebhookSender
from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, Priority, StartOptions
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.deliver_webhooks import DeliverWebhook, DeliveryLoop, DeliveryPolicy
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.ports.event_outbox import DeliveryStatus
from sync_core.jobs.start import StartBatch
from sync_core.jobs.webhook_address import WebhookAddresses
from sync_core.jobs.webhook_rules import RetryPolicy
from sync_core.jobs.webhook_secrets import new_secret
from tests.bench.null_worker import NullAnalyzer
from tests.fakes.receiver import CUT, HANG, OK, Received, Receiver, Reply, receiving

EVENTS_PER_BATCH = 2
_TIMEOUT_SECONDS = 1.0
_MOST_FAILURES = 5
_SLOTS = 32
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Plan:
    """How many batches, how often a sender is killed, and what chance is drawn from."""

    batches: int = 1000
    seed: int = 1
    deaths: int = 3
    together: int = 20
    longest_seconds: float = 1200.0


@dataclass
class Stormed:
    """What was seen; that it is right has been checked."""

    seconds: float
    requests: int
    replies: Counter[str]
    taken_twice: int
    lapsed: int
    deaths: int


@dataclass
class Moods:
    """A receiver's moods: each event is refused some times, in ways drawn at random, and then taken."""

    rng: random.Random
    secret: str
    trap_url: str
    replies: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    _left: dict[str, int] = field(default_factory=dict)

    def choose(self, request: Received) -> Reply:
        request.verified(self.secret)
        event_id = request.event_id
        self.bodies[event_id].add(request.body)
        left = self._left.setdefault(event_id, self.rng.randint(0, _MOST_FAILURES))
        if left == 0:
            self.taken[event_id] += 1
            self.replies["taken"] += 1
            return OK
        self._left[event_id] = left - 1
        name, reply = self.rng.choice(self._bad())
        self.replies[name] += 1
        return reply

    def _bad(self) -> list[tuple[str, Reply]]:
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        return [
            ("500", Reply(500)),
            ("hung", HANG),
            ("cut", CUT),
            ("redirected", Reply(302, {"location": self.trap_url})),
            ("429", Reply(429, {"retry-after": "1"})),
            ("503 until a date", Reply(503, {"retry-after": soon})),
            ("dripped", Reply(200, drip_seconds=0.2)),
        ]


async def storm(plan: Plan, on_progress: Callable[[int], None] = lambda _taken: None) -> Stormed:
    """Send all through the storm, and check that every event arrived at least once under one id.

    Raises
    ------
    AssertionError
        If something was lost, changed on its way, not signed, or sent where a redirect led.
    """
    rng, secret = random.Random(plan.seed), new_secret()
    with TemporaryDirectory(prefix="sync-storm-") as folder:
        async with receiving() as trap, receiving() as receiver, _opened(Path(folder)) as backend:
            moods = Moods(rng, secret, trap.url)
            receiver.choose = moods.choose
            began = asyncio.get_running_loop().time()
            senders = [asyncio.create_task(_send(backend, secret, plan, rng)) for _ in range(2)]
            async with asyncio.timeout(plan.longest_seconds):
                batch_ids = await _run_batches(plan, backend, receiver, moods, on_progress)
                lapsed = await _all_delivered(backend, batch_ids)
            await _end(senders)
            assert trap.connections == 0, "a redirect was followed"
            _check(moods, batch_ids, receiver)
    again = sum(times - 1 for times in moods.taken.values())
    seconds = asyncio.get_running_loop().time() - began
    return Stormed(seconds, len(receiver.requests), moods.replies, again, lapsed, plan.deaths * len(senders))


@asynccontextmanager
async def _opened(folder: Path) -> AsyncIterator[Backend]:
    """Open a back end with a worker upon it whose analyses take no time."""
    backend = open_backend(folder)
    worker = build_worker(WorkerSettings(data_dir=folder, slots=8), backend, NullAnalyzer())
    working = asyncio.create_task(worker.run())
    try:
        yield backend
    finally:
        worker.stop()
        await working
        await backend.close()


async def _run_batches(
    plan: Plan, backend: Backend, receiver: Receiver, moods: Moods, on_progress: Callable[[int], None]
) -> list[str]:
    """Start the batches, some at a time, and wait until all have ended and all events were taken."""
    batch_ids: list[str] = []
    for first in range(0, plan.batches, plan.together):
        batch_ids += [await _start(backend, receiver.url) for _ in range(min(plan.together, plan.batches - first))]
        await asyncio.sleep(_PAUSE_SECONDS)
        on_progress(len(moods.taken))
    for batch_id in batch_ids:
        while (await backend.batch_store.get(batch_id)).status is not BatchStatus.COMPLETED:
            await asyncio.sleep(_PAUSE_SECONDS)
    while len(moods.taken) < EVENTS_PER_BATCH * plan.batches:
        on_progress(len(moods.taken))
        await asyncio.sleep(_PAUSE_SECONDS)
    on_progress(len(moods.taken))
    return batch_ids


async def _start(backend: Backend, url: str) -> str:
    now = datetime.now(UTC)
    batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(1), 1, Priority.NORMAL, now, webhook_url=url)
    await backend.batch_store.create(batch, [ItemRequest("/mnt/data/m.wav", "/mnt/data/d.wav", DEFAULT_METHODS)])
    start = StartBatch(backend.batch_store, backend.work_queue, backend.idempotency_keys, SystemClock())
    await start.start(batch.batch_id, StartOptions(1))
    return batch.batch_id


async def _send(backend: Backend, secret: str, plan: Plan, rng: random.Random) -> None:
    """Be a sender that dies now and then in the middle of what it sends, and another one after each."""
    for _ in range(plan.deaths):
        await _live(backend, secret, seconds=rng.uniform(0.5, 3.0))
    await _live(backend, secret, seconds=plan.longest_seconds)


async def _live(backend: Backend, secret: str, *, seconds: float) -> None:
    sender = HttpWebhookSender(WebhookAddresses(allow_private=True), secrets=[secret], timeout_seconds=_TIMEOUT_SECONDS)
    policy = RetryPolicy(delays_seconds=(0.2,) * 9, longest_retry_after_seconds=1.0)
    deliver = DeliverWebhook(backend.event_outbox, sender, SystemClock(), policy, lease_seconds=3 * _TIMEOUT_SECONDS)
    loop = DeliveryLoop(deliver, DeliveryPolicy(slots=_SLOTS, per_receiver=_SLOTS, poll_seconds=0.05, grace_seconds=0))
    running = asyncio.create_task(loop.run())
    try:
        await asyncio.sleep(seconds)
    finally:  # not a moment is left to it to record what it has sent
        loop.stop()
        await running
        await sender.close()


async def _all_delivered(backend: Backend, batch_ids: list[str]) -> int:
    """Wait until the log says so of every event; gives how many attempts ended with their sender."""
    lapsed = 0
    for batch_id in batch_ids:
        while True:
            deliveries = await backend.event_outbox.deliveries(batch_id)
            statuses = [delivery.status for delivery in deliveries]
            assert set(statuses) <= {DeliveryStatus.PENDING, DeliveryStatus.DELIVERED}, deliveries
            if statuses == [DeliveryStatus.DELIVERED] * EVENTS_PER_BATCH:
                break
            await asyncio.sleep(_PAUSE_SECONDS)
        attempts = [attempt for delivery in deliveries for attempt in delivery.attempts]
        lapsed += len([attempt for attempt in attempts if "may have got it" in (attempt.error or "")])
    return lapsed


async def _end(senders: list[asyncio.Task[None]]) -> None:
    for task in senders:
        task.cancel()
    await asyncio.gather(*senders, return_exceptions=True)


def _check(moods: Moods, batch_ids: list[str], receiver: Receiver) -> None:
    stamps = [batch_id.removeprefix("batch_") for batch_id in batch_ids]
    expected = {f"evt_{stamp}_{what}" for stamp in stamps for what in ("started", "completed")}
    assert set(moods.taken) == expected, "events were lost, or came under other ids"
    assert set(moods.bodies) == expected
    assert {len(bodies) for bodies in moods.bodies.values()} == {1}, "an event came with other bytes than before"
    assert len(receiver.requests) == moods.replies.total()
