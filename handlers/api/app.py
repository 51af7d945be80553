"""Put the API together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from handlers.api import batches, catalogue, metrics, pairs, reports, results, webhooks
from handlers.api.docs import install_docs
from handlers.api.errors import install_error_handlers
from handlers.api.middleware import BodyLimit, RequestContext
from handlers.api.schemas import ErrorResponse
from handlers.api.services import ApiServices
from handlers.version import VERSION

ServicesFactory = Callable[[], AbstractAsyncContextManager[ApiServices]]

_DESCRIPTION = """
Finds by how much a dub is out of sync with its master.
`master_time = speed_ratio * dub_time + offset_seconds`; a negative offset says that the dub is late.
"""


def create_app(open_services: ServicesFactory) -> FastAPI:
    """Make the app; the services are opened when the server starts, and closed when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services() as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Sync Analyzer",
        version=VERSION,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        webhooks=webhooks.sent,
        telemetry={"auto_configure": False, "metrics": False, "logs": False, "operation_spans": False},
        responses={"default": {"model": ErrorResponse, "description": "Every error has this shape."}},
    )
    app.add_middleware(BodyLimit, max_file_bytes=lambda: app.state.services.limits.file_bytes)
    app.add_middleware(RequestContext)
    install_error_handlers(app)
    for group in (batches, results, catalogue, pairs, reports, webhooks, metrics):
        app.include_router(group.router)
    install_docs(app)
    return app
