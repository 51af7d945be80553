"""Whom a remote file is read from: the requests, and what it means when they are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from sync_core.domain.errors import TransientError
from sync_core.domain.remote_media import Refusal
from sync_core.media.connection import Answer

CONNECTIONS: Final = 48
"""So many at once, for one file."""


class Origin(Protocol):
    """Sends requests for one file; several threads use it at once."""

    def get(self, headers: Mapping[str, str]) -> Answer:
        """Send a request, and return as soon as the head of the answer is there.

        Raises
        ------
        OSError, http.client.HTTPException
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
