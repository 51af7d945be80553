"""A resolver that knows what a test tells it; literal addresses resolve as they really do."""

from __future__ import annotations

import socket
from typing import Any

import pytest


class Names:
    """What names lead to: addresses, or an error. `asked` lists the names that were looked up, in order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.known: dict[str, list[str] | Exception] = {}
        self.asked: list[str] = []
        self._real = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self._resolve)

    def __setitem__(self, name: str, addresses: list[str] | Exception) -> None:
        self.known[name] = addresses

    def _resolve(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else str(host)
        self.asked.append(name)
        found = self.known.get(name)
        if isinstance(found, Exception):
            raise found
        if found is None:
            return self._real(host, port, flags=socket.AI_NUMERICHOST, type=socket.SOCK_STREAM)
        return [(_family(address), socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
