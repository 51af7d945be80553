"""Every error as an HTTP answer; the only file that knows which error has which status."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from handlers.api.schemas import ErrorResponse
from handlers.api.views import analysis_url
from sync_core.domain.errors import (
    Forbidden,
    IdempotencyConflict,
    InputError,
    InvalidBatch,
    NotFound,
    PathNotAllowed,
    SyncError,
    TooLarge,
    TransientError,
    WrongState,
)
from sync_core.jobs.await_analysis import AnalysisNotDone

log = logging.getLogger(__name__)

_STATUSES: tuple[tuple[type[SyncError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (WrongState, HTTPStatus.CONFLICT),
    (IdempotencyConflict, HTTPStatus.CONFLICT),
    (TooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (Forbidden, HTTPStatus.FORBIDDEN),
    (InputError, HTTPStatus.BAD_REQUEST),
    (PathNotAllowed, HTTPStatus.BAD_REQUEST),
    (AnalysisNotDone, HTTPStatus.REQUEST_TIMEOUT),
    (TransientError, HTTPStatus.SERVICE_UNAVAILABLE),
)
_CODES = {
    HTTPStatus.BAD_REQUEST: "INVALID_REQUEST",
    HTTPStatus.NOT_FOUND: "NOT_FOUND",
    HTTPStatus.METHOD_NOT_ALLOWED: "METHOD_NOT_ALLOWED",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "TOO_LARGE",
}
_RETRY_AFTER_SECONDS = "2"
_MAX_DETAILS = 100

Details = Sequence[Mapping[str, object]]


def install_error_handlers(app: FastAPI) -> None:
    """Let the app answer every error in the one documented shape."""
    app.add_exception_handler(SyncError, _sync_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)


def error_response(
    request: Request,
    status: int,
    code: str,
    message: str,
    *,
    details: Details = (),
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Answer with an error; `details` is left out where there is none."""
    error = ErrorResponse(
        error=message,
        error_code=code,
        details=[dict(detail) for detail in details],
        timestamp=datetime.now(UTC),
        request_id=request.state.request_id,
    )
    content = error.model_dump(mode="json", exclude=None if details else {"details"})
    return JSONResponse(content, status, headers=headers)


def internal_error(request: Request) -> JSONResponse:
    """Answer to an error that nobody foresaw, without telling its insides."""
    message = f"Internal server error; the service's log tells more under request id {request.state.request_id}."
    return error_response(request, HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", message)


async def _sync_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, SyncError)
    status = next((status for kind, status in _STATUSES if isinstance(error, kind)), None)
    if status is None:
        log.error("no status for this error", exc_info=error, extra={"request_id": request.state.request_id})
        return internal_error(request)
    headers = {"Retry-After": _RETRY_AFTER_SECONDS} if isinstance(error, TransientError) else None
    return error_response(request, status, error.code, error.message, details=_details(error), headers=headers)


def _details(error: SyncError) -> Details:
    if isinstance(error, InvalidBatch):
        return [problem.as_dict() for problem in error.problems]
    if isinstance(error, AnalysisNotDone):
        return [{"analysis_id": error.analysis_id, "status_url": analysis_url(error.analysis_id)}]
    return ()


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Answer 400 where FastAPI would say 422, naming each field that is wrong."""
    assert isinstance(error, RequestValidationError)
    details = [_problem(problem) for problem in error.errors()[:_MAX_DETAILS]]
    sentence = "; ".join(f"{detail['field']}: {detail['reason']}" for detail in details[:5])
    message = f"The request cannot be used: {sentence}"
    return error_response(request, HTTPStatus.BAD_REQUEST, "INVALID_REQUEST", message, details=details)


def _problem(problem: Mapping[str, object]) -> dict[str, str]:
    place = problem["loc"]
    assert isinstance(place, Sequence)
    field = ".".join(str(part) for part in place[1:]) or str(place[0])
    return {"field": field[:100], "reason": _reason(problem)}


def _reason(problem: Mapping[str, object]) -> str:
    context = problem.get("ctx")
    if problem["type"] == "json_invalid" and isinstance(context, Mapping):
        return f"this is no JSON: {context['error']}"
    if problem["type"] == "extra_forbidden":
        return "there is no such field"
    if problem["type"] == "model_attributes_type":
        return "send a JSON object with the header Content-Type: application/json"
    return str(problem["msg"])


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    place = f"{request.method} {request.url.path[:200]}"
    messages = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {place}; /docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{place} is not possible; /docs lists what is.",
    }
    status = HTTPStatus(error.status_code)
    message = messages.get(status, str(error.detail))
    return error_response(request, status, _CODES.get(status, status.name), message, headers=error.headers)
