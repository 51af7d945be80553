"""A remote file as a file object: a demuxer reads it as if it were here.

How it is fetched changes with what is known::

    at first      blocks that grow with what was read without a jump: a header costs little, a whole file is soon read
                  in large blocks with others ahead
    with a plan   the planned ranges only, concurrently; anything else as before, but for the samples of other streams:
                  small ones are zeros, and large ones end after a byte. The demuxer takes that for a damaged packet and
                  jumps to the next one; as nobody decodes it, gigabytes need not be copied.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync_core.domain.remote_media import Fetched
from sync_core.media.ranges import ByteRange, RangeMap, merged, split

if TYPE_CHECKING:
    from sync_core.media.range_client import RangeClient
    from sync_core.media.read_ahead import ReadAhead

FIRST_BYTES = 512 * 1024
"""What a file is looked at by: a movie's header, or the first packets of its streams, in one request each."""
BUFFER_BYTES = 64 * 1024
"""The buffer to open it with: read anew after every jump, so no larger. What is asked for beyond it is one packet."""
_PLANNED_BLOCK_BYTES = 1024 * 1024
_UNPLANNED_BLOCK_BYTES = 128 * 1024
"""With a plan, what it does not know is little."""
_LARGEST_BLOCK_BYTES = 2 * 1024 * 1024
_LONG_RUN_BYTES = 2 * 1024 * 1024
"""What was read so far without a jump will go on: more is fetched ahead."""
_ZEROS = bytes(BUFFER_BYTES)


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """What will be read of a file, in order and apart from each other, and what need not be.

    The latter may be long to go through, and is looked at once only, when the former is already being fetched.
    """

    wanted: tuple[ByteRange, ...]
    unread: Iterable[ByteRange]


class RemoteFile:
    """A file that is read through a RangeClient, as PyAV wants a file object to be. One thread reads it.

    Parameters
    ----------
    version
        The version that is read, for the report.

    Raises
    ------
    MediaError, TransientError
        As `RangeClient.fetch` says.
    Interrupted
        If nobody waits any more.
    """

    def __init__(self, client: RangeClient, ahead: ReadAhead, *, version: str | None = None) -> None:
        self._client = client
        self._ahead = ahead
        self._version = version
        self._head = ahead.get(ByteRange(0, FIRST_BYTES), ())
        assert client.size_bytes is not None, "a file that has begun has a length"
        self.size_bytes = client.size_bytes
        self._block = ByteRange(0, len(self._head))
        self._data = self._head
        self._wanted = RangeMap(())
        self._unread = RangeMap(())
        self._is_planned = False
        self._run_start = 0
        self._position = 0
        self._cut_at: int | None = None
        self._failure: BaseException | None = None

    @property
    def fetched(self) -> Fetched:
        """What it has cost so far."""
        client = self._client
        return Fetched(client.requests, client.bytes, self.size_bytes, client.etag, self._version)

    def follow(self, plan: FetchPlan) -> None:
        """Read by a plan from now on."""
        self._is_planned = True
        blocks = split(plan.wanted, _PLANNED_BLOCK_BYTES)
        self._wanted = RangeMap(blocks)
        self._ahead.start(block for block in blocks if block.stop > len(self._head))
        self._unread = RangeMap(merged(plan.unread))

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
        self._cut_at = None
        return self._position

    def read(self, count: int = -1) -> bytes:
        """Give the next bytes: at most `count`; none at the end, or where a packet that nobody decodes was cut."""
        self.raise_failure()
        left = self.size_bytes - self._position
        count = left if count < 0 else min(count, left)
        if count <= 0 or self._position == self._cut_at:
            self._cut_at = None
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
                return self._unread_bytes(at, count, unread.stop - at)
            self._go_to(at)
        begin = at - self._block.start
        return bytes(memoryview(self._data)[begin : begin + count])

    def _unread_bytes(self, at: int, count: int, left: int) -> bytes:
        """Give zeros; of a packet that fills more than the demuxer's buffer, only one, and then its end."""
        if BUFFER_BYTES < count <= left:
            self._cut_at = at + 1
            return _ZEROS[:1]
        return _ZEROS[: min(count, left)]

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
        smallest = _UNPLANNED_BLOCK_BYTES if self._is_planned else FIRST_BYTES
        size = min(max(run, smallest), _LARGEST_BLOCK_BYTES if run >= _LONG_RUN_BYTES else FIRST_BYTES)
        ends = (self._wanted.next_start(at), self._unread.next_start(at), self.size_bytes)
        return ByteRange(at, min(at + size, *(end for end in ends if end is not None)))
