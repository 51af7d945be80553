"""A remote file as a file object: a demuxer reads it as if it were here.

How it is fetched changes with what is known::

    at first      blocks that grow with what was read without a jump: a header costs little, a whole file is soon read
                  in large blocks with others ahead
    with a plan   the planned ranges only, concurrently; the samples of other streams are zeros; anything else as before
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync_core.domain.remote_media import Fetched
from sync_core.media.ranges import ByteRange, RangeMap, split

if TYPE_CHECKING:
    from sync_core.media.range_client import RangeClient
    from sync_core.media.read_ahead import ReadAhead

FIRST_BYTES = 128 * 1024
_PLANNED_BLOCK_BYTES = 1024 * 1024
_LARGEST_BLOCK_OF_A_HEADER_BYTES = 256 * 1024
_LARGEST_BLOCK_BYTES = 2 * 1024 * 1024
_LONG_RUN_BYTES = 2 * 1024 * 1024
"""What was read so far without a jump will go on: more is fetched ahead."""
_ZEROS = bytes(1024 * 1024)


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What will be read of a file, and what need not be: both in order and apart from each other."""

    wanted: tuple[ByteRange, ...]
    unread: tuple[ByteRange, ...]


class RemoteFile:
    """A file that is read through a RangeClient, as PyAV wants a file object to be. One thread reads it.

    Parameters
    ----------
    version
        The version that is read, for the report.

    Raises
    ------
    MediaError, TransientError
        As `RangeClient.begin` says.
    """

    def __init__(self, client: RangeClient, ahead: ReadAhead, *, version: str | None = None) -> None:
        self._client = client
        self._ahead = ahead
        self._version = version
        self._head = client.begin(FIRST_BYTES)
        assert client.size_bytes is not None, "a file that has begun has a length"
        self.size_bytes = client.size_bytes
        self._block = ByteRange(0, len(self._head))
        self._data = self._head
        self._wanted = RangeMap(())
        self._unread = RangeMap(())
        self._run_start = 0
        self._position = 0
        self._failure: BaseException | None = None

    @property
    def fetched(self) -> Fetched:
        """What it has cost so far."""
        client = self._client
        return Fetched(client.requests, client.bytes, self.size_bytes, client.etag, self._version)

    def follow(self, plan: FetchPlan) -> None:
        """Read by a plan from now on."""
        self._wanted = RangeMap(split(plan.wanted, _PLANNED_BLOCK_BYTES))
        self._unread = RangeMap(plan.unread)

    def raise_failure(self) -> None:
        """Raise what a read met, which libraries in between may have taken for the end of the file."""
        if self._failure is not None:
            raise self._failure

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size_bytes}[whence]
        self._position = max(origin + offset, 0)
        return self._position

    def read(self, count: int = -1) -> bytes:
        """Give the next bytes: at most `count`, at least one before the end."""
        self.raise_failure()
        left = self.size_bytes - self._position
        count = left if count < 0 else min(count, left)
        if count <= 0:
            return b""
        try:
            given = self._read(self._position, count)
        except BaseException as failure:
            self._failure = failure
            raise
        self._position += len(given)
        return given

    def close(self) -> None:
        self._ahead.close()
        self._client.close()

    def _read(self, at: int, count: int) -> bytes:
        if not self._block.start <= at < self._block.stop:
            unread = self._unread_at(at)
            if unread is not None:
                return _ZEROS[: min(count, unread.stop - at)]
            self._go_to(at)
        begin = at - self._block.start
        return bytes(memoryview(self._data)[begin : begin + count])

    def _unread_at(self, at: int) -> ByteRange | None:
        """Give the stretch at a position that need not be read, up to where something is wanted."""
        found = self._unread.at(at)
        if found is None or self._wanted.at(at) is not None:
            return None
        wanted_from = self._wanted.next_start(at)
        return found if wanted_from is None else ByteRange(at, min(found.stop, wanted_from))

    def _go_to(self, at: int) -> None:
        """Have the block that holds a position."""
        if at < len(self._head):
            self._block, self._data, self._run_start = ByteRange(0, len(self._head)), self._head, 0
            return
        planned = self._wanted.at(at)
        block, upcoming = (planned, self._wanted.following(at)) if planned else self._in_sequence(at)
        self._data = self._ahead.get(block, upcoming)
        self._block = block

    def _in_sequence(self, at: int) -> tuple[ByteRange, Iterator[ByteRange]]:
        """Choose the block at a position that no plan knows: a larger one the longer it goes on without a jump."""
        if at != self._block.stop:
            self._run_start = at
        block = self._ahead.covering(at) or self._block_at(at)
        is_long = at - self._run_start >= _LONG_RUN_BYTES
        return block, self._blocks_behind(block) if is_long else iter(())

    def _blocks_behind(self, block: ByteRange) -> Iterator[ByteRange]:
        while (at := block.stop) < self.size_bytes and not self._unread.at(at) and not self._wanted.at(at):
            block = self._ahead.covering(at) or self._block_at(at)
            yield block

    def _block_at(self, at: int) -> ByteRange:
        """Give a block that ends before what is planned, or need not be read."""
        run = at - self._run_start
        largest = _LARGEST_BLOCK_BYTES if run >= _LONG_RUN_BYTES else _LARGEST_BLOCK_OF_A_HEADER_BYTES
        size = min(max(run, FIRST_BYTES), largest)
        ends = (self._wanted.next_start(at), self._unread.next_start(at), self.size_bytes)
        return ByteRange(at, min(at + size, *(end for end in ends if end is not None)))
