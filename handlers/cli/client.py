"""Talk to a Sync Analyzer's API, and turn its refusals into this program's errors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from handlers.cli.errors import problem_line
from sync_core.domain.errors import InputError, ServiceUnreachable

Document = dict[str, Any]
_BATCHES = "/api/v1/analysis/batch"


class ApiClient:
    """A client of one service; use it as a context manager."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url.rstrip("/")
        timeout = httpx.Timeout(10.0, read=120.0, write=120.0)
        try:
            self._http = httpx.Client(base_url=self.base_url, timeout=timeout, transport=httpx.HTTPTransport(retries=2))
        except httpx.InvalidURL as error:
            raise InputError(f"{base_url} is not the address of a service ({error}).") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._http.close()

    def health(self) -> Document:
        """Ask what is connected."""
        return self._json("GET", "/api/v1/health")

    def upload(self, csv_path: Path, fields: Mapping[str, str]) -> Document:
        """Upload a CSV file as a batch."""
        with csv_path.open("rb") as file:
            return self._json(
                "POST", f"{_BATCHES}/upload-csv", files={"file": (csv_path.name, file)}, data=dict(fields)
            )

    def start(self, batch_id: str, options: Mapping[str, object]) -> Document:
        """Start a batch."""
        return self._json("POST", f"{_BATCHES}/{batch_id}/start", json=dict(options))

    def status(self, batch_id: str, *, include_details: bool = False) -> Document:
        """Ask how far a batch is."""
        return self._json("GET", f"{_BATCHES}/{batch_id}/status", params={"include_details": include_details})

    def results(self, batch_id: str) -> Document:
        """Fetch the results document, partial while the batch runs."""
        return self._json("GET", f"{_BATCHES}/{batch_id}/results")

    def results_csv(self, batch_id: str) -> str:
        """Fetch the results as CSV."""
        return self._send("GET", f"{_BATCHES}/{batch_id}/results", params={"export_format": "csv"}).text

    def cancel(self, batch_id: str) -> Document:
        """Cancel a batch."""
        return self._json("DELETE", f"{_BATCHES}/{batch_id}")

    def _json(self, method: str, path: str, **request: Any) -> Document:  # noqa: ANN401 - handed on to httpx as it is
        response = self._send(method, path, **request)
        try:
            document: Document = response.json()
        except ValueError:
            raise ServiceUnreachable(f"What answers at {self.base_url} is no Sync Analyzer; look at --api.") from None
        return document

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401
        try:
            response = self._http.request(method, path, **request)
        except httpx.TransportError as error:
            raise ServiceUnreachable(
                f"No Sync Analyzer answers at {self.base_url} ({error}). "
                "Start one with `sync-analyzer serve`, or name another with --api or SYNC_API_URL."
            ) from error
        if response.is_error:
            raise _refusal(response)
        return response


def _refusal(response: httpx.Response) -> InputError | ServiceUnreachable:
    try:
        body: Document = response.json()
    except ValueError:
        body = {}
    message = str(body.get("error", f"The service answered with status {response.status_code}."))
    bad = [detail for detail in body.get("details") or [] if "line" in detail]
    lines = [problem_line(detail["line"], detail["column"], detail["reason"]) for detail in bad]
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return ServiceUnreachable(f"{message} (request {body.get('request_id', 'unknown')})")
    return InputError("\n".join([message, *lines]))
