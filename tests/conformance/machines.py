"""What the random walks over an adapter share: a loop, a back end of their own, a clock."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from sync_core.jobs.ports.backend import Backend
from tests.fakes.clock import FakeClock

T = TypeVar("T")
OpenBackend = Callable[[Path, FakeClock], Backend]


class AdapterMachine(RuleBasedStateMachine):
    """A state machine whose rules call an adapter."""

    open_backend: ClassVar[OpenBackend]
    data_dir: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.clock = FakeClock()
        self.folder = Path(tempfile.mkdtemp(dir=self.data_dir))
        self.backend = type(self).open_backend(self.folder, self.clock)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def teardown(self) -> None:
        self.run(self.backend.close())
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def walk(
    machine: type[AdapterMachine], open_backend: OpenBackend, data_dir: Path, *, examples: int, steps: int
) -> None:
    """Walk through an adapter at random, and fail with the shortest way to a difference from the model."""
    bound = type(machine.__name__, (machine,), {"open_backend": staticmethod(open_backend), "data_dir": data_dir})
    options = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(bound, settings=options)
