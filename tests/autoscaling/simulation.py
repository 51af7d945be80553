"""The scaling rule of template.yaml, played against a surge of batches, minute by minute and without AWS.

What AWS adds is in it: metrics come late, target tracking wants three minutes above its target and fifteen below 90 %
of it, an instance takes minutes to start, and Spot takes instances away.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from handlers.cli.stack_template import read_template
from tests.fakes.clock import FakeClock

TEMPLATE = Path(__file__).parents[2] / "template.yaml"
STEP_SECONDS = 10
METRIC_DELAY_MINUTES = 2
BOOT_SECONDS = (180, 300)
SPOT_LOSSES_PER_HOUR = 0.2
OUT_DATAPOINTS, IN_DATAPOINTS, IN_SHARE = 3, 15, 0.9


@dataclass(frozen=True)
class Rule:
    """What template.yaml says about scaling."""

    most_workers: int
    slots: int
    target: float
    out_cooldown: float
    in_cooldown: float
    first_cooldown: float

    @staticmethod
    def of_template() -> Rule:
        template = read_template(TEMPLATE)
        parameters, resources = template["Parameters"], template["Resources"]
        tracking = _properties(resources, "BacklogPolicy")["TargetTrackingScalingPolicyConfiguration"]
        step = _properties(resources, "FirstWorkerPolicy")["StepScalingPolicyConfiguration"]
        (worker,) = _properties(resources, "WorkerTask")["ContainerDefinitions"]
        environment = {entry["Name"]: entry["Value"] for entry in worker["Environment"]}
        return Rule(
            most_workers=parameters["MaxWorkers"]["Default"],
            slots=int(environment["SYNC_SLOTS"]),
            target=parameters["BacklogPerWorker"]["Default"],
            out_cooldown=tracking["ScaleOutCooldown"],
            in_cooldown=tracking["ScaleInCooldown"],
            first_cooldown=step["Cooldown"],
        )


def _properties(resources: dict[str, Any], name: str) -> dict[str, Any]:
    return resources[name]["Properties"]


@dataclass
class Worker:
    ready_at: float
    ends: dict[tuple[int, int], float] = field(default_factory=dict)


@dataclass
class Sample:
    """How it stood at one minute."""

    minute: float
    waiting: int
    in_flight: int
    desired: int
    running: int


@dataclass
class Simulation:
    """`durations[batch][item]` in seconds; a batch has at most `window` items in the queue or in work."""

    rule: Rule
    durations: list[list[float]]
    window: int
    random: random.Random
    clock: FakeClock = field(default_factory=FakeClock)
    desired: int = 0
    workers: list[Worker] = field(default_factory=list)
    waiting: deque[tuple[int, int]] = field(default_factory=deque)
    done: list[tuple[int, int]] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    drained_at: float | None = None
    interrupted: int = 0

    def __post_init__(self) -> None:
        self._began = self.clock.now()
        self._next = [0] * len(self.durations)
        self._changed_at = -math.inf
        for batch in range(len(self.durations)):
            for _ in range(self.window):
                self._dispatch(batch)

    @property
    def now(self) -> float:
        return (self.clock.now() - self._began).total_seconds()

    @property
    def running(self) -> list[Worker]:
        return [worker for worker in self.workers if worker.ready_at <= self.now]

    def run(self, hours: float) -> None:
        for step in range(int(hours * 3600 / STEP_SECONDS)):
            self._finish_items()
            self._lose_some()
            self._follow_desired()
            self._take_items()
            if step * STEP_SECONDS % 60 == 0:
                self._note()
                self._scale()
            self.clock.advance(STEP_SECONDS)

    def _dispatch(self, batch: int) -> None:
        if self._next[batch] < len(self.durations[batch]):
            self.waiting.append((batch, self._next[batch]))
            self._next[batch] += 1

    def _finish_items(self) -> None:
        for worker in self.workers:
            for item in [item for item, end in worker.ends.items() if end <= self.now]:
                del worker.ends[item]
                self.done.append(item)
                self._dispatch(item[0])
        if len(self.done) == sum(map(len, self.durations)) and self.drained_at is None:
            self.drained_at = self.now

    def _lose_some(self) -> None:
        """Let Spot take workers away: what they held is released to the queue, and begins anew elsewhere."""
        for worker in self.running:
            if self.random.random() < SPOT_LOSSES_PER_HOUR * STEP_SECONDS / 3600:
                self.interrupted += len(worker.ends)
                self.waiting.extend(worker.ends)
                self.workers.remove(worker)

    def _follow_desired(self) -> None:
        for _ in range(self.desired - len(self.workers)):
            self.workers.append(Worker(self.now + self.random.uniform(*BOOT_SECONDS)))
        for worker in [worker for worker in self.workers if not worker.ends]:  # others are protected
            if len(self.workers) > self.desired:
                self.workers.remove(worker)

    def _take_items(self) -> None:
        for worker in self.running:
            while self.waiting and len(worker.ends) < self.rule.slots:
                batch, item = self.waiting.popleft()
                worker.ends[batch, item] = self.now + self.durations[batch][item]

    def _note(self) -> None:
        in_flight = sum(len(worker.ends) for worker in self.workers)
        self.samples.append(Sample(self.now / 60, len(self.waiting), in_flight, self.desired, len(self.running)))

    def _scale(self) -> None:
        """Do what the two policies do with the metrics that have arrived."""
        seen = self.samples[: len(self.samples) - METRIC_DELAY_MINUTES]
        if not seen:
            return
        if seen[-1].running == 0 and seen[-1].waiting and self._rested(self.rule.first_cooldown):
            self._set_desired(self.desired + 1)
        elif self._all(seen, OUT_DATAPOINTS, lambda load: load > self.rule.target):
            self._track(seen[-1], self.rule.out_cooldown)
        elif self._all(seen, IN_DATAPOINTS, lambda load: load < IN_SHARE * self.rule.target):
            self._track(seen[-1], self.rule.in_cooldown)

    def _all(self, seen: list[Sample], count: int, holds: Any) -> bool:
        return len(seen) >= count and all(holds(load_of(sample)) for sample in seen[-count:])

    def _track(self, sample: Sample, cooldown: float) -> None:
        if self.desired and self._rested(cooldown):
            self._set_desired(math.ceil(self.desired * load_of(sample) / self.rule.target))

    def _rested(self, cooldown: float) -> bool:
        return self.now - self._changed_at >= cooldown

    def _set_desired(self, wanted: int) -> None:
        wanted = min(max(wanted, 0), self.rule.most_workers)
        if wanted != self.desired:
            self.desired, self._changed_at = wanted, self.now


def load_of(sample: Sample) -> float:
    """Give the metric that target tracking follows: messages, waiting and in work, per desired worker."""
    return (sample.waiting + sample.in_flight) / max(sample.desired, 1)


def surge(seed: int, *, batches: int = 100, items: int = 20, window: int = 4) -> Simulation:
    """A hundred batches at once, of films between one and four minutes of work."""
    chance = random.Random(seed)
    durations = [[chance.uniform(60, 240) for _ in range(items)] for _ in range(batches)]
    return Simulation(Rule.of_template(), durations, window, chance)


def ideal_seconds(simulation: Simulation) -> float:
    """How long it takes whoever knows the surge beforehand: all workers at once, booting, and then busy to the end."""
    rule = simulation.rule
    work = sum(map(sum, simulation.durations))
    return sum(BOOT_SECONDS) / 2 + work / (rule.most_workers * rule.slots)


def turns(values: Iterable[int]) -> int:
    """Count how often a series changes its direction.

    Examples
    --------
    >>> turns([0, 1, 5, 5, 3, 0]), turns([0, 2, 1, 2])
    (1, 2)
    """
    numbers = list(values)
    steps = [after - before for before, after in pairwise(numbers) if after != before]
    return sum((first > 0) != (second > 0) for first, second in pairwise(steps))
