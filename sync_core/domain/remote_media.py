"""What is said about media that are read over HTTP: how an address was refused, and what reading has cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP answer that refuses to give what lies at an address: its status, and the beginning of its body."""

    status: int
    body: str
    region: str | None = None
    """Where the answer says that the object's bucket is."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """What reading a remote file has cost, and which state of it was read."""

    requests: int
    bytes: int
    size_bytes: int
    etag: str | None
    version: str | None = None
