"""Media that lie in a store of objects: which state of them is read, and where."""

from __future__ import annotations

from typing import Protocol

from sync_core.domain.media import MediaRef
from sync_core.domain.remote_media import Refusal


class MediaObjects(Protocol):
    """Objects that references of the scheme s3 name."""

    async def pin(self, ref: MediaRef) -> MediaRef:
        """Pin a reference to the object's present version, or to its ETag where no versions are kept.

        A reference that is pinned, or is none to an object, is returned as it is.

        Raises
        ------
        MediaError
            If the object may not or cannot be read; the message says what to do.
        TransientError
            If the store does not answer.
        """
        ...

    async def address(self, ref: MediaRef, refusal: Refusal | None = None) -> str:
        """Give an address that the object can be read at over HTTP for a while.

        Parameters
        ----------
        refusal
            How the address given before was refused, if it was.

        Raises
        ------
        MediaError, TransientError
            What the refusal means, unless the address had only grown too old.
        """
        ...
