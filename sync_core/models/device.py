"""Choosing the device that models run on, without loading torch in the process that asks.

A worker's parent process asks before any child has loaded a model; a GPU opened there would stay occupied. So the GPU
is looked at in a short-lived process, and only on machines that have a driver for one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from sync_core.domain.methods import AiModel, Method, label
from sync_core.models.directory import ModelDirectory

Wanted = Literal["auto", "cpu", "cuda"]

CPU: Final = "cpu"
LEAST_FREE_BYTES: Final = 2 * 2**30
"""Less than this of GPU memory is not worth starting on."""

_DRIVER_TRACES: Final = (Path("/proc/driver/nvidia/version"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
_PROBE_SECONDS: Final = 120.0
_NEEDED: Final = {AiModel.WAV2VEC2: ("torch", "transformers", "safetensors"), AiModel.YAMNET: ("torch", "safetensors")}


@dataclass(frozen=True, slots=True)
class Device:
    """Where models run: `cpu` or `cuda:0`; `reason` says why not on the GPU, where one was to be expected."""

    name: str
    reason: str | None = None


def find_device(wanted: Wanted = "auto") -> Device:
    """Choose the GPU if there is a usable one, else the CPU.

    Parameters
    ----------
    wanted
        `cpu` doesn't look for a GPU; `cuda` expects one, so that its absence has a reason.
    """
    if wanted == "cpu":
        return Device(CPU)
    if not any(trace.exists() for trace in _DRIVER_TRACES):
        return Device(CPU, "No GPU driver is loaded on this machine." if wanted == "cuda" else None)
    if not _installed("torch"):
        return Device(CPU, "There is a GPU, but PyTorch is not installed.")
    return judge(_probe())


def judge(found: dict[str, object]) -> Device:
    """Decide by what `device_probe` found.

    Parameters
    ----------
    found
        `error`, a sentence; or `name`, `free_bytes` and `total_bytes` of the first GPU.
    """
    if "error" in found:
        return Device(CPU, f"The GPU cannot be used: {found['error']}")
    free, total = int(str(found["free_bytes"])), int(str(found["total_bytes"]))
    if free < LEAST_FREE_BYTES:
        return Device(
            CPU, f"The GPU ({found['name']}) is full: {free / 2**30:.1f} of {total / 2**30:.1f} GiB are free."
        )
    return Device("cuda:0")


def _probe() -> dict[str, object]:
    command = [sys.executable, "-m", "sync_core.models.device_probe"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PROBE_SECONDS, check=False)
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.TimeoutExpired:
        return {"error": f"looking at it took more than {_PROBE_SECONDS:.0f} s."}
    except (ValueError, IndexError):
        return {"error": f"looking at it ended with status {done.returncode}."}
    return dict(found)


def unusable_models(directory: ModelDirectory) -> dict[AiModel, str]:
    """Say for each model that cannot run here why not; the others can."""
    reasons = {model: why_unusable(directory, model) for model in AiModel}
    return {model: reason for model, reason in reasons.items() if reason}


def why_unusable(directory: ModelDirectory, model: AiModel) -> str | None:
    """Say why a model cannot run here, and what to do; None if it can."""
    absent = [package for package in _NEEDED.get(model, ()) if not _installed(package)]
    if absent:
        need = f"needs {' and '.join(absent)}, which are not installed; run `pip install 'sync-analyzer[ai]'`."
        return f"{label(Method.AI, model)} {need}"
    return directory.status(model).reason


def _installed(package: str) -> bool:
    return find_spec(package) is not None
