"""The API's own documentation at /docs, with all its files served from here: a studio may have no internet."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

_FILES = "/docs/files"


def install_docs(app: FastAPI) -> None:
    """Serve Swagger UI, whose files come with the package `fastapi_offline`."""
    app.mount(_FILES, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs_files")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="/openapi.json",
            title="Sync Analyzer API",
            swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
            swagger_css_url=f"{_FILES}/swagger-ui.css",
            swagger_favicon_url=f"{_FILES}/favicon.png",
            swagger_ui_parameters={"displayRequestDuration": True},
        )
