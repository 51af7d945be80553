"""Objects that are read through addresses with a signature, which somebody else makes and renews."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from sync_core.domain.errors import StorageUnavailable, Throttled, TransientError
from sync_core.domain.remote_media import Refusal
from sync_core.media.connection import Answer, Connections, Server

Locate = Callable[[Refusal | None], str]
"""Gives an address for the object; told how the last one was refused, a new one, or raises what that means."""

_RENEWALS = 5
"""More of them for one file are not the passing of time, but a signature that is never accepted."""


class _Place(NamedTuple):
    """An address taken apart once, for all requests that go there."""

    connections: Connections
    target: str


class PresignedOrigin:
    """The Origin of an object behind presigned addresses.

    Parameters
    ----------
    trusted
        Certificate authorities.
    """

    def __init__(self, locate: Locate, trusted: ssl.SSLContext) -> None:
        self._locate = locate
        self._trusted = trusted
        self._servers: dict[Server, Connections] = {}
        self._renewing = threading.Lock()
        self._renewed = 0
        self._place: _Place | None = None
        self._used = threading.local()  # the place of each thread's last request

    def get(self, headers: Mapping[str, str]) -> Answer:
        place = self._used.place = self._current()
        return place.connections.get(place.target, headers)

    def _current(self) -> _Place:
        with self._renewing:
            if self._place is None:
                self._place = self._place_of(self._locate(None))
            return self._place

    def _place_of(self, url: str) -> _Place:
        parts = urlsplit(url)  # which changes nothing in it, as the signature demands
        is_https = parts.scheme == "https"
        port = parts.port or (443 if is_https else 80)
        server = Server(parts.hostname or "", port, self._trusted if is_https else None)
        return _Place(self._servers.setdefault(server, Connections(server)), f"{parts.path}?{parts.query}")

    def refused(self, refusal: Refusal) -> None:
        """Have the address renewed, once for all threads that it was refused to."""
        with self._renewing:
            if self._used.place is not self._place:
                return
            if self._renewed >= _RENEWALS:
                raise StorageUnavailable(
                    f"The storage refused {_RENEWALS} addresses one after the other ({refusal.status}: {refusal.body})."
                )
            self._place = self._place_of(self._locate(refusal))
            self._renewed += 1

    def trouble(self, sentence: str, *, throttled: bool) -> TransientError:
        return Throttled(f"{sentence}; the storage asks to slow down") if throttled else StorageUnavailable(sentence)

    def close(self) -> None:
        for connections in self._servers.values():
            connections.close()
