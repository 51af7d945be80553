"""A worker process: the pipeline and the back end, wired into the worker loop."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from handlers.backends import check_configured, open_configured, open_media
from handlers.logs import set_up_logging
from handlers.metrics import EmfWriter, MeteredProcessor, MeteredSweeper
from handlers.settings import WorkerSettings, read_settings
from handlers.stopping import stop_when_asked
from handlers.task_protection import protected_on_ecs
from handlers.tracing import note_progress, traces
from handlers.version import VERSION
from sync_core.domain.errors import ConfigurationError
from sync_core.domain.media import MediaPolicy
from sync_core.domain.result import Progress
from sync_core.domain.worker import WorkerInfo
from sync_core.jobs.ports.analyzer import Analyzer
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.batch_store import Begun
from sync_core.jobs.ports.clock import SystemClock
from sync_core.jobs.ports.media_objects import MediaObjects
from sync_core.jobs.worker_loop import WorkerLoop

if TYPE_CHECKING:
    from sync_core.pipeline.analyzer import ProcessAnalyzer

log = logging.getLogger(__name__)

_METRICS_SECONDS = 60.0


def _log_progress(begun: Begun, progress: Progress) -> None:
    item, percent = begun.item, 100 * progress.fraction
    note_progress(begun, progress)
    log.debug("%s %.0f %%", progress.stage, percent, extra={"batch_id": item.batch_id, "item_id": item.item_id})


def build_analyzer(settings: WorkerSettings, policy: MediaPolicy, media: MediaObjects | None = None) -> ProcessAnalyzer:
    """Make the analyzer that works in child processes, one for each slot."""
    from sync_core.pipeline.ai_settings import AiSettings
    from sync_core.pipeline.analyzer import ProcessAnalyzer  # brings numpy: only processes that analyse need it

    return ProcessAnalyzer(
        policy=policy,
        slots=settings.slots,
        stall_seconds=settings.stall_timeout_seconds,
        tolerance_seconds=settings.tolerance_seconds,
        spool_folder=settings.spool_dir,
        ai=AiSettings(
            model_dir=settings.model_dir,
            device=settings.ai_device,
            budget_seconds=settings.ai_budget_seconds,
            hidden_layer=settings.ai_hidden_layer,
            cpu_threads=max((os.cpu_count() or 1) // settings.slots, 1),
        ),
        media=media,
    )


def build_worker(
    settings: WorkerSettings,
    backend: Backend,
    analyzer: Analyzer,
    *,
    on_progress: Callable[[Begun, Progress], None] = _log_progress,
    media: MediaObjects | None = None,
) -> WorkerLoop:
    """Wire one worker; nothing runs before its `run`."""
    clock = SystemClock()
    info = _describe(settings, analyzer)
    processor = MeteredProcessor(
        worker_id=info.worker_id,
        store=backend.batch_store,
        queue=backend.work_queue,
        reports=backend.report_store,
        analyzer=analyzer,
        clock=clock,
        policy=settings.attempt_policy,
        on_progress=on_progress,
        media=media,
    )
    sweeper = MeteredSweeper(backend.batch_store, backend.work_queue, backend.report_store, clock)
    return WorkerLoop(
        info, backend.work_queue, backend.worker_registry, processor, sweeper, clock, settings.worker_policy
    )


async def run_worker(
    settings: WorkerSettings,
    backend: Backend,
    analyzer: Analyzer,
    *,
    stop_with_stdin: bool = False,
    media: MediaObjects | None = None,
) -> None:
    """Work until SIGTERM or SIGINT, or the end of standard input; then finish or release what runs.

    Raises
    ------
    WorkerBroken
        If too many items in a row met unforeseen errors.
    """
    worker = build_worker(settings, backend, analyzer, media=media)
    stop_when_asked(worker.stop, with_stdin=stop_with_stdin)
    log.info("worker %s takes up to %d items at once", worker.info.worker_id, settings.slots)
    log.info("AI models on %s: %s", worker.info.device, ", ".join(worker.info.ai_models) or "none")
    for reason in worker.info.unavailable.values():
        log.info("%s", reason)
    try:
        with traces("worker"):
            async with _metrics_to_log() if settings.metrics_format == "emf" else nullcontext():
                await worker.run()
    finally:
        await analyzer.close()
        await backend.close()
        log.info("worker %s has ended", worker.info.worker_id)


@asynccontextmanager
async def _metrics_to_log() -> AsyncIterator[None]:
    """Write metrics every minute, and what is left at the end."""
    writer = EmfWriter("worker")
    writing = asyncio.create_task(_write_for_ever(writer))
    try:
        yield
    finally:
        writing.cancel()
        writer.write()


async def _write_for_ever(writer: EmfWriter) -> None:
    while True:
        await asyncio.sleep(_METRICS_SECONDS)
        writer.write()


def main(slots: int | None = None, *, stop_with_stdin: bool = False) -> None:
    """Run a worker as the settings say."""
    settings = read_settings(WorkerSettings, slots=slots)
    set_up_logging(settings.log_level, settings.log_format)
    asyncio.run(_check_and_run(settings, stop_with_stdin=stop_with_stdin))


async def _check_and_run(settings: WorkerSettings, *, stop_with_stdin: bool) -> None:
    await check_configured(settings)
    policy = settings.media_policy
    media = open_media(policy)
    analyzer = build_analyzer(settings, policy, media)
    await analyzer.warm_up()
    backend, analyses = open_configured(settings), protected_on_ecs(analyzer)
    try:
        await run_worker(settings, backend, analyses, stop_with_stdin=stop_with_stdin, media=media)
    finally:
        if media is not None:
            await media.close()


def _describe(settings: WorkerSettings, analyzer: Analyzer) -> WorkerInfo:
    can, now, host = analyzer.capabilities, datetime.now(UTC), socket.gethostname()
    return WorkerInfo(
        worker_id=f"{host}-{os.getpid()}-{secrets.token_hex(3)}",
        host=host,
        pid=os.getpid(),
        slots=settings.slots,
        device=can.device,
        version=VERSION,
        methods=can.methods,
        ai_models=can.ai_models,
        unavailable=can.unavailable,
        started_at=now,
        seen_at=now,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m handlers.worker", description="Run a worker until SIGTERM.")
    parser.add_argument("--slots", type=int, help="items analysed at once; default: SYNC_SLOTS")
    try:
        main(parser.parse_args().slots)
    except ConfigurationError as error:
        raise SystemExit(error.message) from error
