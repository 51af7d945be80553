"""The sweeper as a process of its own: a Lambda function on a schedule, or `python -m handlers.sweeper` beside a cron.

Workers sweep as well; this one also heals batches while no worker runs, whose lost messages would never start one.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Mapping

from handlers.backends import open_configured
from handlers.logs import set_up_logging
from handlers.metrics import EmfWriter, MeteredSweeper
from handlers.settings import CommonSettings, read_settings
from sync_core.domain.errors import ConfigurationError
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.clock import Clock, SystemClock
from sync_core.jobs.sweep import Swept

log = logging.getLogger(__name__)

_MOST_ROUNDS = 10
_metrics = EmfWriter("sweeper")


def handler(_event: Mapping[str, object], _context: object) -> dict[str, int]:
    """Sweep; the answer says what was done, for whoever invokes the function by hand."""
    swept = main()
    return {"resent": swept.resent, "ended_dead": swept.ended_dead}


def main() -> Swept:
    """Sweep the configured back end.

    Raises
    ------
    ConfigurationError
        If the settings cannot be used.
    """
    settings = read_settings(CommonSettings)
    set_up_logging(settings.log_level, settings.log_format)
    swept = asyncio.run(_sweep_configured(settings))
    if settings.metrics_format == "emf":
        _metrics.write()
    return swept


async def _sweep_configured(settings: CommonSettings) -> Swept:
    backend = open_configured(settings)
    try:
        return await sweep(backend, SystemClock())
    finally:
        await backend.close()


async def sweep(backend: Backend, clock: Clock) -> Swept:
    """Sweep until a round finds less than it may take, or the next invocation may go on."""
    sweeper = MeteredSweeper(backend.batch_store, backend.work_queue, backend.report_store, clock)
    resent = ended_dead = 0
    for _ in range(_MOST_ROUNDS):
        done = await sweeper.sweep()
        resent, ended_dead = resent + done.resent, ended_dead + done.ended_dead
        if max(done.resent, done.ended_dead) < sweeper.limit:
            break
    log.info("swept", extra={"resent": resent, "ended_dead": ended_dead})
    return Swept(resent, ended_dead)


if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m handlers.sweeper", description="Sweep once.").parse_args()
    try:
        main()
    except ConfigurationError as error:
        raise SystemExit(error.message) from error
