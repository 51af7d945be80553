"""Memory over many jobs: 500 pairs through the same processes, with every method, models in a process of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import AiModel, Method
from sync_core.models import convert as converting
from sync_core.models.directory import ModelDirectory
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.analyzer import ProcessAnalyzer
from tests.models.tiny import write_checkpoint
from tests.pipeline.pairs import PROGRAMME, UNRESTRICTED, ignore, late, request, write_wav

YAMNET = Path(__file__).parents[1] / "models" / "data" / "keras2.h5"
EVERY = 25
SETTLED = 100
"""Jobs after which caches and allocators have what they need."""
GROWTH_AT_MOST = 0.05


@dataclass(slots=True)
class Readings:
    """Private memory after every 25 jobs, MB; `failed` counts those that gave no offset."""

    jobs: list[int] = field(default_factory=list)
    child: list[float] = field(default_factory=list)
    models: list[float] = field(default_factory=list)
    failed: int = 0

    def growth(self, of: list[float]) -> float:
        """Share by which the last reading exceeds the one after `SETTLED` jobs."""
        return of[-1] / of[self.jobs.index(SETTLED)] - 1.0

    @property
    def is_flat(self) -> bool:
        return max(self.growth(self.child), self.growth(self.models)) <= GROWTH_AT_MOST


async def run(jobs: int, on_done: Callable[[int], None], policy: MediaPolicy = UNRESTRICTED) -> Readings:
    """Compare one pair again and again in one child, which is never replaced.

    Parameters
    ----------
    jobs
        More than `SETTLED`, a multiple of `EVERY`.
    on_done
        Called with the number of jobs done.
    """
    readings = Readings()
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        folder = Path(name)
        analyzer = ProcessAnalyzer(
            policy=policy, slots=1, tasks_per_child=jobs + 1, ai=_models(folder), share_models=True
        )
        pair = write_wav(folder / "master.wav", PROGRAMME), write_wav(folder / "dub.wav", late(1.0))
        try:
            await analyzer.warm_up()
            for job in range(1, jobs + 1):
                asked = replace(request(*pair, tuple(Method)), ai_model=list(AiModel)[job % len(AiModel)])
                result = await analyzer.analyze(asked, ignore)
                readings.failed += result.offset_seconds is None
                on_done(job)
                if job % EVERY == 0:
                    _read(readings, job, analyzer)
        finally:
            await analyzer.close()
    return readings


def _models(folder: Path) -> AiSettings:
    """Tiny random networks: what leaks does not depend on what was learnt."""
    directory = ModelDirectory(folder / "models")
    converting.convert(AiModel.WAV2VEC2, write_checkpoint(folder / "checkpoint"), directory)
    converting.convert(AiModel.YAMNET, YAMNET, directory)
    return AiSettings(model_dir=directory.root)


def _read(readings: Readings, job: int, analyzer: ProcessAnalyzer) -> None:
    (child,), server = analyzer.child_pids, analyzer.model_server_pid
    readings.jobs.append(job)
    readings.child.append(_private_mb(child))
    readings.models.append(_private_mb(server) if server else 0.0)


def _private_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().uss) / 1e6


def lines(readings: Readings) -> list[str]:
    """Say what was measured."""
    picked = [index for index, job in enumerate(readings.jobs) if job % SETTLED == 0 or index == 0]
    rows = [
        f"after {readings.jobs[i]} jobs: {readings.child[i]:.1f} MB where pairs are compared, "
        f"{readings.models[i]:.1f} MB where the models run"
        for i in picked
    ]
    growth = " and ".join(f"{readings.growth(of):+.1%}" for of in (readings.child, readings.models))
    verdict = "flat" if readings.is_flat else "NOT FLAT"
    return [*rows, f"growth from job {SETTLED} on: {growth} ({verdict}); {readings.failed} jobs without an offset"]
