"""Check the address that a webhook is to be sent to, when it is given."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from sync_core.domain.errors import InputError
from sync_core.domain.internet import is_global_unicast

_MAX_CHARACTERS = 2048
_RESOLVE_SECONDS = 2.0


class InvalidWebhook(InputError):
    """An address that no webhook will be sent to."""

    code = "INVALID_WEBHOOK"


@dataclass(frozen=True, slots=True)
class WebhookAddresses:
    """Which addresses are accepted; `allow_private` lets receivers on the own network pass."""

    allow_private: bool = False

    async def check(self, url: str | None) -> str | None:
        """Return the address, or None where none was given.

        A name that does not resolve now is accepted: it may later.

        Raises
        ------
        InvalidWebhook
            If the syntax is bad, or it leads to a private, loopback, link-local or otherwise not global address.
        """
        if not url:
            return None
        host, port = _host_and_port(url)
        if not self.allow_private:
            await self.resolve(host, port, within_seconds=_RESOLVE_SECONDS)
        return url

    async def resolve(self, host: str, port: int, *, within_seconds: float) -> tuple[str, ...]:
        """Resolve as a client would, decimal and octal forms included; nothing where the name is unknown or slow.

        Whoever connects must connect to one of these: another look-up may give others.

        Raises
        ------
        InvalidWebhook
            If one of them is not on the public internet, and only such are allowed.
        """
        found = await _addresses(host, port, within_seconds)
        if not self.allow_private:
            _check_public(host, found)
        return found


def receiver_of(url: str) -> str:
    """Give the host and port that an accepted address leads to, to tell receivers apart."""
    return urlsplit(url).netloc.lower()


def _check_public(host: str, addresses: tuple[str, ...]) -> None:
    for address in addresses:
        if not is_global_unicast(address):
            raise InvalidWebhook(
                f"The webhook's host {host} leads to {address}, which is not on the public internet. "
                "Set SYNC_WEBHOOK_ALLOW_PRIVATE=true to allow receivers on the own network."
            )


def _host_and_port(url: str) -> tuple[str, int]:
    """Take host and port out of an http(s) address.

    Raises
    ------
    InvalidWebhook
        If it is no such address, or carries a user name.
    """
    if len(url) > _MAX_CHARACTERS or not url.isprintable() or " " in url:
        raise InvalidWebhook("The webhook address is too long, or holds blanks or control characters.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidWebhook(f"The webhook address {url} is not a valid URL: {error}.") from error
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidWebhook(f"The webhook address {url} must start with https:// or http:// and name a host.")
    if parts.username is not None or parts.password is not None:
        raise InvalidWebhook("The webhook address must not carry a user name or password.")
    return parts.hostname, port or (443 if parts.scheme == "https" else 80)


async def _addresses(host: str, port: int, within_seconds: float) -> tuple[str, ...]:
    lookup = asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    try:
        found = await asyncio.wait_for(lookup, within_seconds)
    except (OSError, TimeoutError, UnicodeError):
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found))
