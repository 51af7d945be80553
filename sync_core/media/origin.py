"""Whom a remote file is read from: the requests, and what it means when they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from urllib3 import BaseHTTPResponse, Timeout

from sync_core.domain.errors import TransientError
from sync_core.domain.remote_media import Refusal

CONNECTIONS: Final = 48
"""So many at once, for one file."""
TIMEOUT: Final = Timeout(connect=5.0, read=10.0)
"""The longest waits for a connection, and for the next bytes."""


class Origin(Protocol):
    """Sends requests for one file; several threads use it at once."""

    def get(self, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Send a request, and return as soon as the head of the answer is there.

        Raises
        ------
        urllib3.exceptions.HTTPError
            If there is no answer.
        """
        ...

    def refused(self, refusal: Refusal) -> None:
        """Make up for a refusal, so that the request can be sent again.

        Raises
        ------
        SyncError
            If that is not possible: what the refusal means.
        """
        ...

    def trouble(self, sentence: str, *, throttled: bool) -> TransientError:
        """Give the error for requests that were tried again in vain."""
        ...

    def close(self) -> None: ...
