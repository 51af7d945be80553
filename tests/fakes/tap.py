"""Stand between the use cases and a back end, and see or spoil each call of a port."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sync_core.jobs.ports.backend import Backend

Call = Callable[[], Awaitable[Any]]
Probe = Callable[[str, Call], Awaitable[Any]]

PORTS = ("batch_store", "work_queue", "report_store", "event_outbox", "worker_registry", "idempotency_keys")


class _TappedPort:
    def __init__(self, name: str, port: object, probe: Probe) -> None:
        self._name, self._port, self._probe = name, port, probe

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(self._port, method)

        async def tapped(*args: Any, **kwargs: Any) -> Any:
            return await self._probe(f"{self._name}.{method}", lambda: call(*args, **kwargs))

        return tapped


class TappedBackend:
    """A back end each of whose calls goes through `probe`, under a name such as `batch_store.finish`."""

    def __init__(self, backend: Backend, probe: Probe) -> None:
        for name in PORTS:
            setattr(self, name, _TappedPort(name, getattr(backend, name), probe))
        self.close = backend.close


@dataclass
class Trouble:
    """Fails the first `times` calls of one port method, before their effect or after it, and all others do their work.

    `calls` lists every call that was made.
    """

    name: str
    error: BaseException
    times: int = 1
    after_effect: bool = False

    def __post_init__(self) -> None:
        self.calls: list[str] = []
        self.left = self.times

    async def __call__(self, name: str, call: Call) -> Any:
        self.calls.append(name)
        if name != self.name or not self.left:
            return await call()
        self.left -= 1
        if self.after_effect:
            await call()
        raise self.error
