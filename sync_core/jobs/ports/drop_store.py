"""Where files are dropped, and where what they led to is written: a folder on disk, or a bucket.

Keys are relative paths such as `drop/films/pairs.csv`, the same on all of them; results are beside `drop/`, not in it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sync_core.domain.errors import TransientError

DROP = "drop/"
"""What is watched."""
RESULTS = "results/"


@dataclass(frozen=True, slots=True)
class DropObject:
    """One version of a dropped object.

    `reference` is what a worker reads it by, pinned to that version where the store keeps versions.
    """

    key: str
    version: str
    size_bytes: int
    reference: str


class DropUnreadable(TransientError):
    """An object that is there and may not be read; its owner or the operator can mend that."""

    code = "DROP_UNREADABLE"


class DropStore(Protocol):
    """Files in, and documents out."""

    @property
    def source(self) -> str:
        """Name this store among all that a back end may ever see."""
        ...

    @property
    def knows_versions(self) -> bool:
        """Tell whether each version was put there on purpose.

        On a disk, a file that was touched or copied once more looks like another version with the same content.
        """
        ...

    def folder_reference(self, key: str) -> str:
        """Give the folder of an object as relative paths of media are taken against it."""
        ...

    async def find(self, key: str, version: str | None = None) -> DropObject | None:
        """Look for an object as it is now, or for one of its versions; None if there is no such one any more."""
        ...

    async def read(self, found: DropObject) -> bytes | None:
        """Read that version of an object; None if there is no such one any more.

        Raises
        ------
        DropUnreadable
            If it may not be read.
        """
        ...

    async def beside(self, found: DropObject) -> Sequence[DropObject]:
        """List the objects in the folder of another one, in the order of their keys, without deeper folders.

        A store that keeps versions lists what was there when that version of the object came.
        """
        ...

    async def unfinished(self, references: Iterable[str]) -> Sequence[str]:
        """Give those media that somebody is still writing; none where an object is there wholly or not at all."""
        ...

    async def keys(self, prefix: str) -> Sequence[str]:
        """List all keys that begin so, in order."""
        ...

    async def write(self, key: str, content: AsyncIterator[bytes]) -> None:
        """Write a document; it is there wholly, or not at all."""
        ...

    async def remove(self, key: str) -> None:
        """Remove a document, if it is there."""
        ...
