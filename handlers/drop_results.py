"""Results of dropped batches: a Lambda function on a schedule writes those of batches that have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from handlers.backends import open_aws
from handlers.drop_use_cases import build_drop_results
from handlers.logs import set_up_logging
from handlers.settings import CommonSettings, read_settings
from sync_core.jobs.ports.clock import SystemClock


def handler(_event: Mapping[str, object], _context: object) -> dict[str, int]:
    """Write what is due; the answer says for how many batches."""
    settings = read_settings(CommonSettings)
    set_up_logging(settings.log_level, settings.log_format)
    return {"written": asyncio.run(_write_due(settings))}


async def _write_due(settings: CommonSettings) -> int:
    backend = open_aws(settings)
    try:
        return await build_drop_results(backend, backend.drop_store, SystemClock()).write_due()
    finally:
        await backend.close()
