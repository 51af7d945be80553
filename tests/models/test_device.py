"""Which device models run on, and what is said where a GPU cannot be used. The GPUs here are made up."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sync_core.domain.methods import AiModel
from sync_core.models import device, device_probe
from sync_core.models.device import Device, find_device, judge, unusable_models
from sync_core.models.directory import ModelDirectory

GIB = 2**30


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Make the machine look as if it had a GPU driver."""
    trace = tmp_path / "version"
    trace.touch()
    monkeypatch.setattr(device, "_DRIVER_TRACES", (trace,))


@pytest.fixture
def no_driver(tmp_path, monkeypatch):
    monkeypatch.setattr(device, "_DRIVER_TRACES", (tmp_path / "absent",))


def test_a_machine_without_a_gpu_runs_on_the_cpu_and_has_nothing_to_explain(no_driver):
    assert find_device() == Device("cpu")


def test_an_absent_gpu_that_was_asked_for_is_named(no_driver):
    assert find_device("cuda") == Device("cpu", "No GPU driver is loaded on this machine.")


def test_the_cpu_can_be_asked_for(driver):
    assert find_device("cpu") == Device("cpu")


def test_a_gpu_without_torch_is_named(driver, monkeypatch):
    monkeypatch.setattr(device, "find_spec", lambda package: None)
    assert find_device().reason == "There is a GPU, but PyTorch is not installed."


def test_the_gpu_is_looked_at_in_a_process_of_its_own(driver):
    """Here, with torch for the CPU or without a GPU, that process says why not."""
    found = find_device()
    assert found.name == "cuda:0" or found.reason.startswith("The GPU cannot be used: ")


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (SimpleNamespace(stdout="", returncode=-11), "ended with status -11."),
        (subprocess.TimeoutExpired("probe", 120), "took more than 120 s."),
    ],
)
def test_a_look_that_crashes_or_hangs_is_named(driver, monkeypatch, outcome, reason):
    def run(*_, **__):
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(subprocess, "run", run)
    assert find_device() == Device("cpu", f"The GPU cannot be used: looking at it {reason}")


def test_a_free_gpu_is_used():
    assert judge({"name": "H100", "free_bytes": 70 * GIB, "total_bytes": 80 * GIB}) == Device("cuda:0")


def test_a_full_gpu_is_named():
    found = judge({"name": "H100", "free_bytes": GIB // 2, "total_bytes": 80 * GIB})
    assert found == Device("cpu", "The GPU (H100) is full: 0.5 of 80.0 GiB are free.")


def torch_that(monkeypatch, *, available, cuda="13.0", memory=None):
    fake = SimpleNamespace(
        version=SimpleNamespace(cuda=cuda),
        cuda=SimpleNamespace(is_available=available, mem_get_info=memory, get_device_name=lambda index: "H100"),
    )
    monkeypatch.setitem(sys.modules, "torch", fake)


def test_a_driver_that_is_too_old_is_named(monkeypatch):
    def available():
        import warnings

        warnings.warn("CUDA initialization: The NVIDIA driver on your system is too old\nPlease update", stacklevel=1)
        return False

    torch_that(monkeypatch, available=available)
    assert "driver on your system is too old." in device_probe.look()["error"]


def test_torch_for_the_cpu_only_is_named(monkeypatch):
    torch_that(monkeypatch, available=lambda: False, cuda=None)
    assert device_probe.look() == {"error": "this build of PyTorch is for the CPU only."}


def test_a_broken_context_is_named(monkeypatch):
    def memory(index):
        raise RuntimeError("CUDA error: unspecified launch failure\nCompile with ...")

    torch_that(monkeypatch, available=lambda: True, memory=memory)
    assert device_probe.look() == {"error": "CUDA error: unspecified launch failure."}


def test_a_good_gpu_is_described(monkeypatch):
    torch_that(monkeypatch, available=lambda: True, memory=lambda index: (7 * GIB, 8 * GIB))
    assert json.loads(json.dumps(device_probe.look())) == {
        "name": "H100",
        "free_bytes": 7 * GIB,
        "total_bytes": 8 * GIB,
    }


def test_models_that_cannot_run_say_why(tmp_path, monkeypatch):
    directory = ModelDirectory(tmp_path)
    assert set(unusable_models(directory)) == {AiModel.WAV2VEC2, AiModel.YAMNET}
    assert "models pull yamnet" in unusable_models(directory)[AiModel.YAMNET]
    monkeypatch.setattr(device, "find_spec", lambda package: None)
    reasons = unusable_models(directory)
    assert "pip install 'sync-analyzer[ai]'" in reasons[AiModel.WAV2VEC2]
    assert AiModel.SPECTRAL not in reasons
