"""The files of a pair: where they are, and how they are opened."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sync_core.domain.media import MediaPolicy, MediaRef, MediaScheme, parse_media_ref
from sync_core.media.files import resolve
from sync_core.media.locate import Locate, nowhere
from sync_core.media.remote_file import RemoteFile


class Source(Protocol):
    """A file that may be read: what the caller called it, and how it is opened."""

    @property
    def ref(self) -> MediaRef: ...

    @property
    def identity(self) -> Hashable:
        """What two sources have in common that give the same audio."""
        ...

    def opened(self, is_over: Callable[[], bool]) -> AbstractContextManager[Path | RemoteFile]:
        """Open the file; `is_over` tells whether nobody waits for it any more."""
        ...


@dataclass(frozen=True, slots=True)
class LocalSource:
    """A regular file."""

    ref: MediaRef
    path: Path

    @property
    def identity(self) -> Hashable:
        return self.path, self.ref.stream, self.ref.channel

    def opened(self, is_over: Callable[[], bool]) -> AbstractContextManager[Path]:  # noqa: ARG002 - nothing waits
        return nullcontext(self.path)


@dataclass(frozen=True, slots=True)
class RemoteSource:
    """An object in S3, or a file at an https address."""

    ref: MediaRef
    policy: MediaPolicy
    locate: Locate

    @property
    def identity(self) -> Hashable:
        return self.ref

    def opened(self, is_over: Callable[[], bool]) -> AbstractContextManager[RemoteFile]:
        from sync_core.media.open_remote import open_remote  # an HTTP client, which local files need not wait for

        return closing(open_remote(self.ref, self.policy, self.locate, is_over=is_over))


def find_source(text: str, policy: MediaPolicy, locate: Locate = nowhere) -> Source:
    """Read a media reference, check it against the policy, and find a local one's file.

    Raises
    ------
    InvalidMediaReference, MediaError
        As `parse_media_ref`, `MediaPolicy.check` and `media.files.resolve` say.
    """
    ref = parse_media_ref(text)
    if ref.scheme is MediaScheme.FILE:
        return LocalSource(ref, resolve(ref, policy))
    return RemoteSource(policy.check(ref), policy, locate)
