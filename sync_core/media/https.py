"""Files at https addresses that anybody may have written down: only the public internet is spoken to.

The name is resolved once. All of its addresses must be public, and connections go to those addresses and no others, so
that a name cannot lead elsewhere afterwards. The certificate is still checked against the name.
"""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from sync_core.domain.errors import (
    MediaForbidden,
    MediaNotFound,
    MediaUnreachable,
    MediaUnsupported,
    PathNotAllowed,
    TransientError,
)
from sync_core.domain.internet import is_global_unicast
from sync_core.domain.media import InvalidMediaReference
from sync_core.domain.remote_media import Refusal
from sync_core.media.connection import Answer, Connections, Server

Resolve = Callable[[str, int], list[str]]
"""Gives the network addresses of a host."""

_PORT = 443


def resolved(host: str, port: int) -> list[str]:
    """Resolve a host as any client would, decimal and octal forms included.

    Raises
    ------
    OSError, UnicodeError
        If it has no address.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class HttpsOrigin:
    """The Origin of a file at an https address.

    Parameters
    ----------
    trusted
        Certificate authorities.
    resolve, is_allowed
        How the host is resolved, and which of its addresses may be connected to.

    Raises
    ------
    InvalidMediaReference
        If the address cannot be used.
    PathNotAllowed
        If it leads anywhere but to the public internet.
    MediaUnreachable
        If the host has no address now.
    """

    def __init__(
        self,
        url: str,
        trusted: ssl.SSLContext,
        *,
        resolve: Resolve = resolved,
        is_allowed: Callable[[str], bool] = is_global_unicast,
    ) -> None:
        self._url = url
        host, port, self._target = _parts(url)
        self._servers = [
            Connections(Server(host, port, trusted, address))
            for address in _allowed_addresses(url, host, port, resolve, is_allowed)
        ]
        self._in_turn = itertools.cycle(self._servers)
        self._server = next(self._in_turn)

    def get(self, headers: Mapping[str, str]) -> Answer:
        server = self._server
        try:
            return server.get(self._target, headers)
        except OSError:
            if server is self._server:
                self._server = next(self._in_turn)
            raise

    def refused(self, refusal: Refusal) -> None:
        if 300 <= refusal.status < 400:
            raise MediaUnsupported(f"{self._url} only leads on to another address ({refusal.status}); give that one")
        if refusal.status in (404, 410):
            raise MediaNotFound(f"{self._url} does not exist ({refusal.status}); check the address")
        raise MediaForbidden(f"{self._url} is refused ({refusal.status}); let its server give it to these workers")

    def trouble(self, sentence: str, *, throttled: bool) -> TransientError:
        advice = "its server asks to slow down" if throttled else "check that its server is up"
        return MediaUnreachable(f"{sentence}; {advice}")

    def close(self) -> None:
        for server in self._servers:
            server.close()


def _parts(url: str) -> tuple[str, int, str]:
    """Take an address apart: host, port, and what to ask the host for."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or _PORT
    except ValueError as error:
        raise InvalidMediaReference(f"{url} is no valid address: {error}") from error
    if parts.scheme.lower() != "https" or not host or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidMediaReference(f"{url} is no valid https address; write it as a browser shows it, percent-encoded")
    if parts.username is not None or parts.password is not None:
        raise InvalidMediaReference(f"an https address must not carry a user name or password ({host})")
    return host, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _allowed_addresses(
    url: str, host: str, port: int, resolve: Resolve, is_allowed: Callable[[str], bool]
) -> list[str]:
    try:
        addresses = resolve(host, port)
    except (OSError, UnicodeError) as error:
        raise MediaUnreachable(f"{url}: {host} has no network address ({error}); check the name") from error
    for address in addresses:
        if not is_allowed(address):
            raise PathNotAllowed(
                f"{url} leads to {address}, which is not on the public internet; name a public address"
            )
    return addresses
