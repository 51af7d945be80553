"""What several workers can do, taken together."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from sync_core.domain.methods import Method
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.catalogue import method_catalogue

NOW = datetime(2025, 8, 28, tzinfo=UTC)
SIGNAL = (Method.MFCC, Method.ONSET, Method.SPECTRAL)
CPU = WorkerInfo("a", "host", 1, 2, "cpu", "1.0.0", SIGNAL, (), {"ai": "No AI model is installed."}, NOW, NOW)
GPU = replace(
    CPU,
    worker_id="b",
    device="cuda:0",
    methods=(*SIGNAL, Method.AI),
    ai_models=("wav2vec2",),
    unavailable={"ai:yamnet": "yamnet.pt is missing in /models."},
)


def entries(*workers: WorkerInfo) -> dict:
    return {entry.method: entry for entry in method_catalogue(workers)}


def models(*workers: WorkerInfo) -> dict:
    return {entry.model: entry for entry in entries(*workers)[Method.AI].models}


def test_without_a_worker_nothing_is_available_and_the_reason_says_what_to_do():
    assert list(entries()) == list(Method)
    assert all(not entry.available and "sync-analyzer worker" in entry.reason for entry in entries().values())
    assert all(not model.installed and model.reason for model in models().values())


def test_a_worker_gives_its_reasons():
    found = entries(CPU)
    assert all(found[method].available and found[method].reason is None for method in SIGNAL)
    assert not found[Method.AI].available
    assert found[Method.AI].reason == "No AI model is installed."
    assert models(CPU)["wav2vec2"].reason == "No AI model is installed."


def test_one_worker_that_can_is_enough():
    assert entries(CPU, GPU)[Method.AI].available
    found = models(CPU, GPU)
    assert (found["wav2vec2"].installed, found["wav2vec2"].devices) == (True, ("cuda:0",))
    assert not found["yamnet"].installed
    assert "yamnet.pt is missing" in found["yamnet"].reason


def test_a_worker_without_a_reason_still_leaves_one():
    silent = replace(CPU, unavailable={})
    assert entries(silent)[Method.AI].reason == "None of the running workers offers it."
