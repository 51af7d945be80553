"""The API as uvicorn starts it: `uvicorn handlers.api.main:app`."""

from __future__ import annotations

import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from handlers.api.app import create_app
from handlers.api.services import ApiServices, open_services
from handlers.logs import set_up_logging
from handlers.settings import ApiSettings, read_settings
from handlers.tracing import traces


@asynccontextmanager
async def _services() -> AsyncIterator[ApiServices]:
    """Read the settings when the server starts, not when this module is imported."""
    settings = read_settings(ApiSettings)
    set_up_logging(settings.log_level, settings.log_format)
    logging.getLogger("uvicorn.access").disabled = True  # the middleware's line says more
    with traces("api"):
        async with open_services(settings) as services:
            gc.collect()
            gc.freeze()  # else each full collection looks at all that is loaded, and all requests wait 40 ms for it
            yield services


app = create_app(_services)
