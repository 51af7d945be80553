"""WorkQueue against a model in a list: nothing lost, nothing early, nothing twice, no stale receipt that works."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from sync_core.domain.batch import Priority
from sync_core.jobs.ports.work_queue import Delivery, Message
from tests.conformance.adapters import ADAPTERS, MAX_RECEIVES
from tests.conformance.machines import AdapterMachine, walk

ANY = st.randoms(use_true_random=False)
SECONDS = st.sampled_from([0.0, 10.0, 60.0])
PRIORITY = st.sampled_from(list(Priority))


@dataclass
class ModelMessage:
    message: Message
    visible_at: datetime
    receipt: str | None = None
    receives: int = 0
    dead: bool = False


class WorkQueueMachine(AdapterMachine):
    """Messages that have been received too often are *doomed*; when a receive buries them is the adapter's affair."""

    @initialize()
    def start(self) -> None:
        self.queue = self.backend.work_queue
        self.messages: list[ModelMessage] = []
        self.deliveries: list[Delivery] = []
        self.sent = 0

    def after(self, seconds: float) -> datetime:
        return self.clock.now() + timedelta(seconds=seconds)

    def is_visible(self, each: ModelMessage) -> bool:
        return each.visible_at <= self.clock.now()

    def is_doomed(self, each: ModelMessage) -> bool:
        return not each.dead and each.receives >= MAX_RECEIVES and self.is_visible(each)

    def waiting(self) -> list[ModelMessage]:
        return [each for each in self.messages if not each.dead and self.is_visible(each) and not self.is_doomed(each)]

    def hand_out(self, delivery: Delivery, candidates: list[ModelMessage], visibility: float) -> None:
        taken = next(each for each in candidates if each.message == delivery.message)
        taken.receives += 1
        taken.receipt, taken.visible_at = delivery.receipt_handle, self.after(visibility)
        self.deliveries.append(delivery)

    def held_by(self, delivery: Delivery) -> ModelMessage | None:
        return next((each for each in self.messages if each.receipt == delivery.receipt_handle), None)

    @rule(batch=st.sampled_from(["batch_a", "batch_b"]), priority=PRIORITY, delay=SECONDS)
    def send(self, batch: str, priority: Priority, delay: float) -> None:
        message = Message(batch, self.sent, priority)
        self.sent += 1
        self.run(self.queue.send([message], delay_seconds=delay))
        self.messages.append(ModelMessage(message, self.after(delay)))

    @rule(seconds=SECONDS)
    def time_passes(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(order=st.permutations(list(Priority)), visibility=SECONDS)
    def receive(self, order: list[Priority], visibility: float) -> None:
        delivery = self.run(self.queue.receive(order, visibility_seconds=visibility))
        waiting = self.waiting()
        if delivery is None:
            assert not waiting
            return
        first = min(order.index(each.message.priority) for each in waiting)
        assert order.index(delivery.message.priority) == first
        self.hand_out(delivery, waiting, visibility)
        assert delivery.receive_count == self.messages[self.index_of(delivery)].receives

    def index_of(self, delivery: Delivery) -> int:
        return next(n for n, each in enumerate(self.messages) if each.message == delivery.message)

    @rule()
    def bury(self) -> None:
        """Receive until nothing is left: then every doomed message is a dead letter, and nothing else is."""
        while delivery := self.run(self.queue.receive(list(Priority), visibility_seconds=60.0)):
            self.hand_out(delivery, self.waiting(), 60.0)
        for each in filter(self.is_doomed, self.messages):
            each.dead, each.receipt = True, None
        expected = [each for each in self.messages if each.dead and self.is_visible(each)]
        dead = self.run(self.queue.receive_dead(limit=100, visibility_seconds=60.0))
        assert {each.message for each in dead} == {each.message for each in expected}
        for delivery in dead:
            self.hand_out(delivery, expected, 60.0)

    @precondition(lambda self: self.deliveries)
    @rule(random=ANY)
    def delete(self, random: object) -> None:
        delivery = random.choice(self.deliveries)  # type: ignore[attr-defined]
        held = self.held_by(delivery)
        if held is not None and self.is_doomed(held):
            return
        self.run(self.queue.delete(delivery))
        if held is not None:
            self.messages.remove(held)

    @precondition(lambda self: self.deliveries)
    @rule(random=ANY, seconds=SECONDS)
    def extend(self, random: object, seconds: float) -> None:
        delivery = random.choice(self.deliveries)  # type: ignore[attr-defined]
        held = self.held_by(delivery)
        if held is not None and self.is_doomed(held):
            return
        self.run(self.queue.extend(delivery, visibility_seconds=seconds))
        if held is not None:
            held.visible_at = self.after(seconds)

    @invariant()
    def every_message_is_counted_once(self) -> None:
        depth = self.run(self.queue.depth())
        for priority in Priority:
            count = depth[priority]
            assert count.waiting + count.in_flight + count.dead == sum(
                each.message.priority is priority for each in self.messages
            )

    @invariant()
    def what_is_hidden_by_a_receipt_is_in_flight(self) -> None:
        hidden = [m for m in self.messages if m.receipt and not m.dead and not self.is_visible(m)]
        assert sum(each.in_flight for each in self.run(self.queue.depth()).values()) == len(hidden)


@pytest.mark.parametrize("kind", ADAPTERS)
def test_the_queue_does_what_the_model_does(kind: str, data_dir: Path) -> None:
    walk(WorkQueueMachine, ADAPTERS[kind], data_dir, examples=60, steps=40)
