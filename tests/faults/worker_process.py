"""A real worker process with a scripted analyzer: `python -m tests.faults.worker_process`, told by SYNC_ variables.

A dub's name says what becomes of it: `sleep-<milliseconds>` is found after that time, `gone` is not there.
"""

from __future__ import annotations

import asyncio
import re

from handlers.backends import open_configured
from handlers.logs import set_up_logging
from handlers.settings import WorkerSettings, read_settings
from handlers.worker import run_worker
from sync_core.domain.errors import MediaNotFound
from sync_core.domain.result import AnalysisResult
from sync_core.jobs.ports.analyzer import AnalysisRequest, OnProgress
from tests.fakes.analyzer import ScriptedAnalyzer, found


async def follow_the_name(request: AnalysisRequest, _on_progress: OnProgress) -> AnalysisResult:
    sleep = re.search(r"sleep-(\d+)", request.dub_file)
    await asyncio.sleep(int(sleep[1]) / 1000 if sleep else 0)
    if "gone" in request.dub_file:
        raise MediaNotFound(f"{request.dub_file} is not there.")
    return found(-1.0, confidence=0.5)


def main() -> None:
    settings = read_settings(WorkerSettings)
    set_up_logging(settings.log_level, settings.log_format)
    asyncio.run(run_worker(settings, open_configured(settings), ScriptedAnalyzer(follow_the_name)))


if __name__ == "__main__":
    main()
