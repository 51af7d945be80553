"""What the registered workers can do, taken together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from sync_core.domain.methods import DEFAULT_METHODS, AiModel, Method
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.catalogue import MethodEntry, method_catalogue

NOW = datetime(2025, 8, 28, 14, 6, tzinfo=UTC)
WITHOUT_MODELS = WorkerInfo(
    "a", "host", 1, 2, "cpu", "1.0.0", DEFAULT_METHODS, (), {"ai": "No model is installed."}, NOW, NOW
)
WITH_YAMNET = replace(
    WITHOUT_MODELS,
    worker_id="b",
    device="cuda",
    methods=(*DEFAULT_METHODS, Method.AI),
    ai_models=("yamnet",),
    unavailable={"ai:wav2vec2": "Its weights are not in SYNC_MODEL_DIR."},
)


def entry(workers: list[WorkerInfo], method: Method) -> MethodEntry:
    return next(entry for entry in method_catalogue(workers) if entry.method is method)


def test_without_workers_nothing_is_available_and_it_says_what_to_start() -> None:
    entries = method_catalogue([])
    assert [entry.method for entry in entries] == list(Method)
    assert not any(entry.available for entry in entries)
    assert all("sync-analyzer worker" in entry.reason for entry in entries)


def test_a_method_that_no_worker_has_comes_with_the_workers_reason() -> None:
    ai = entry([WITHOUT_MODELS], Method.AI)
    assert (ai.available, ai.reason) == (False, "No model is installed.")
    assert [model.reason for model in ai.models] == ["No model is installed."] * len(AiModel)


def test_one_worker_that_can_is_enough() -> None:
    workers = [WITHOUT_MODELS, WITH_YAMNET]
    assert entry(workers, Method.MFCC).available
    ai = entry(workers, Method.AI)
    assert (ai.available, ai.reason) == (True, None)
    models = {model.model: model for model in ai.models}
    assert (models[AiModel.YAMNET].installed, models[AiModel.YAMNET].devices) == (True, ("cuda",))
    assert not models[AiModel.WAV2VEC2].installed
    assert "Its weights are not in SYNC_MODEL_DIR." in models[AiModel.WAV2VEC2].reason
