"""What the registered workers can do, taken together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sync_core.domain.methods import DESCRIPTIONS, AiModel, Method, label
from sync_core.domain.worker import WorkerInfo

_NO_WORKER = "No worker is running; start one with `sync-analyzer worker` or `sync-analyzer serve`."
_NOT_OFFERED = "None of the running workers offers it."


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """An AI model; `devices` are those of the workers that have it, `reason` says why none has."""

    model: AiModel
    label: str
    installed: bool
    devices: tuple[str, ...]
    reason: str | None


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """A method; `reason` says why no worker can run it. `models` is empty but for `ai`."""

    method: Method
    label: str
    description: str
    available: bool
    reason: str | None
    models: tuple[ModelEntry, ...] = ()


def method_catalogue(workers: Sequence[WorkerInfo]) -> tuple[MethodEntry, ...]:
    """List all methods; one is available if any worker can run it."""
    return tuple(_method(method, workers) for method in Method)


def _method(method: Method, workers: Sequence[WorkerInfo]) -> MethodEntry:
    available = any(method in worker.methods for worker in workers)
    return MethodEntry(
        method=method,
        label=label(method),
        description=DESCRIPTIONS[method],
        available=available,
        reason=None if available else _reason(method.value, workers),
        models=tuple(_model(model, workers) for model in AiModel) if method is Method.AI else (),
    )


def _model(model: AiModel, workers: Sequence[WorkerInfo]) -> ModelEntry:
    owners = [worker for worker in workers if model in worker.ai_models]
    return ModelEntry(
        model=model,
        label=label(Method.AI, model),
        installed=bool(owners),
        devices=tuple(sorted({worker.device for worker in owners})),
        reason=None if owners else _reason(f"ai:{model}", workers),
    )


def _reason(name: str, workers: Sequence[WorkerInfo]) -> str:
    if not workers:
        return _NO_WORKER
    general = name.partition(":")[0]
    given = (worker.unavailable.get(name) or worker.unavailable.get(general) for worker in workers)
    return " ".join(sorted({reason for reason in given if reason})) or _NOT_OFFERED
