"""Byte ranges of one remote file over HTTP, past cut connections, errors and throttling.

Nothing is taken on trust: each answer must say that it holds the range that was asked for, of the same state and length
of the file as the answers before it.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from random import uniform

from sync_core.domain.errors import MediaChanged, MediaCorrupt, MediaTooLarge, MediaUnsupported
from sync_core.domain.remote_media import Refusal
from sync_core.media.connection import Answer
from sync_core.media.interrupted import Interrupted
from sync_core.media.origin import Origin
from sync_core.media.ranges import ByteRange

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_TOLD_BYTES = 2000
"""So much of a refusal's body is looked at."""
_THROTTLED = frozenset({429, 503})
_PASSING = frozenset({408, 500, 502, 504}) | _THROTTLED


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on trying: pauses grow from `first` to `most`, each drawn at random from nothing to its length."""

    tries: int = 8
    first_pause_seconds: float = 0.1
    most_pause_seconds: float = 5.0
    give_up_seconds: float = 45.0
    answer_seconds: float = 30.0
    """The longest that one answer may take to its last byte."""

    def pauses(self) -> Iterator[float]:
        for attempt in range(self.tries - 1):
            yield uniform(0.0, min(self.first_pause_seconds * 2**attempt, self.most_pause_seconds))


@dataclass(frozen=True, slots=True)
class Limits:
    """What one file may cost; None: no limit."""

    bytes: int | None = None
    seconds: float | None = None


class RangeClient:
    """Fetches ranges of one file, from any number of threads; the first answer tells its length and state.

    Parameters
    ----------
    name
        What messages call the file.
    etag
        The state of the file that is wanted, as it stands in the header; None: the one that is there first.
    is_over
        Tells whether nobody waits any more; asked at least once a second, except while nothing at all arrives.
    """

    def __init__(
        self,
        origin: Origin,
        name: str,
        *,
        etag: str | None = None,
        limits: Limits = Limits(),
        patience: Patience = Patience(),
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        self._origin = origin
        self._name = name
        self._patience = patience
        self._limits = limits
        self._is_over = is_over
        self._began_at = time.monotonic()
        self._counting = threading.Lock()
        self.etag = etag
        self.size_bytes: int | None = None
        self.requests = 0
        self.bytes = 0

    def close(self) -> None:
        """Close the connections; requests that are under way end in time."""
        self._origin.close()

    def fetch(self, wanted: ByteRange) -> bytearray:
        """Fetch a range; of one that reaches beyond the end, what there is.

        Raises
        ------
        MediaChanged
            If the file is not what it was.
        MediaError
            If it is empty, too large, refused, or on a server that does not answer ranges.
        TransientError
            If there is no usable answer.
        Interrupted
            If nobody waits any more.
        """
        got = _Received(wanted.size)
        pauses, began_at = self._patience.pauses(), time.monotonic()
        while True:
            failure = self._try(wanted, got)
            if failure is None:
                return got.content()
            pause = next(pauses, None)
            if pause is None or time.monotonic() - began_at > self._patience.give_up_seconds:
                raise self._origin.trouble(
                    f"{self._name} could not be read at byte {wanted.start + got.count}: {failure.why}",
                    throttled=failure.throttled,
                )
            self._sleep(pause)

    def _try(self, wanted: ByteRange, got: _Received) -> _Failure | None:
        """Read on behind what there is already; tells what went wrong if it may go right the next time."""
        self._check_time()
        try:
            while (at := wanted.start + got.count) < self._end(wanted):
                self._read_on(ByteRange(at, wanted.stop), got)
        except _Failure as failure:
            return failure
        except (HTTPException, OSError) as error:
            return _Failure(_reason(error))
        return None

    def _end(self, wanted: ByteRange) -> int:
        return wanted.stop if self.size_bytes is None else min(wanted.stop, self.size_bytes)

    def _read_on(self, wanted: ByteRange, got: _Received) -> None:
        headers = {"Range": f"bytes={wanted.start}-{wanted.stop - 1}", "Accept-Encoding": "identity"}
        if self.etag is not None and not self.etag.startswith("W/"):
            headers["If-Match"] = self.etag
        with self._counting:
            self.requests += 1
        answer = self._origin.get(headers)
        is_read = False
        try:
            given = self._accept(answer, wanted)
            self._receive(answer, given.size, got)
            is_read = answer.header("Content-Length") == str(given.size)
        finally:
            answer.finish(is_read=is_read)

    def _accept(self, answer: Answer, wanted: ByteRange) -> ByteRange:
        """Check the head of an answer, and tell which range it holds."""
        if answer.status != 206:
            self._explain(answer)
        if (answer.header("Content-Encoding") or "identity") != "identity":
            raise MediaUnsupported(f"{self._name}: its server sends it encoded; let it send the file as it is")
        parsed = _CONTENT_RANGE.fullmatch(answer.header("Content-Range") or "")
        if parsed is None:
            raise _Failure("an answer does not say which range it holds")
        given, size = ByteRange(int(parsed[1]), int(parsed[2]) + 1), int(parsed[3])
        if given.start != wanted.start or not wanted.start < given.stop <= wanted.stop:
            raise _Failure("an answer holds another range than the one that was asked for")
        self._check_state(answer.header("ETag"), size)
        return given

    def _check_state(self, etag: str | None, size: int) -> None:
        if self._limits.bytes is not None and size > self._limits.bytes:
            raise MediaTooLarge(
                f"{self._name} has {size} bytes, and at most {self._limits.bytes} are read from there; "
                "raise SYNC_HTTPS_MAX_BYTES, or read it from elsewhere"
            )
        with self._counting:
            self.etag = self.etag or etag
            self.size_bytes = self.size_bytes or size
        if (etag is not None and etag != self.etag) or size != self.size_bytes:
            raise self._changed()

    def _changed(self) -> MediaChanged:
        return MediaChanged(
            f"{self._name} is no longer what it was when the item was begun: somebody wrote it anew; "
            "retry the item once it is complete"
        )

    def _explain(self, answer: Answer) -> None:
        """Say what an answer without a range means; returns never."""
        status = answer.status
        if status == 200:
            raise MediaUnsupported(
                f"{self._name}: its server does not answer byte ranges; put the file on one that does"
            )
        if status == 412:
            raise self._changed()
        if status == 416:
            raise (
                self._changed() if self.size_bytes else MediaCorrupt(f"{self._name} is empty (0 bytes); copy it again")
            )
        if status in _PASSING:
            raise _Failure(f"the server answered {status}", throttled=status in _THROTTLED)
        body = bytearray(_TOLD_BYTES)
        told = body[: answer.read_into(memoryview(body))].decode("utf-8", "replace")
        self._origin.refused(Refusal(status, told, answer.header("x-amz-bucket-region")))
        raise _Failure(f"the server answered {status}")

    def _receive(self, answer: Answer, count: int, got: _Received) -> None:
        """Append the body as it arrives, so that what has arrived survives a cut."""
        began_at = time.monotonic()
        while count > 0:
            arrived = answer.read_into(got.room(count))
            if not arrived:
                raise _Failure("the connection was cut")
            got.count += arrived
            count -= arrived
            with self._counting:
                self.bytes += arrived
            self._check_time()
            if time.monotonic() - began_at > self._patience.answer_seconds:
                raise _Failure(f"an answer was not complete after {self._patience.answer_seconds:g} s")

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._check_time()
            time.sleep(min(left, 0.5))

    def _check_time(self) -> None:
        if self._is_over():
            raise Interrupted
        limit = self._limits.seconds
        if limit is not None and time.monotonic() - self._began_at > limit:
            raise MediaTooLarge(
                f"{self._name} could not be read within {limit:g} s; raise SYNC_HTTPS_TIMEOUT_SECONDS, "
                "or read it from elsewhere"
            )


class _Received:
    """What has arrived of a range; its room is taken at once, because growing buffers leave memory in pieces."""

    def __init__(self, size: int) -> None:
        self._buffer = bytearray(size)
        self.count = 0

    def room(self, count: int) -> memoryview:
        """Give where the next bytes go."""
        return memoryview(self._buffer)[self.count : self.count + count]

    def content(self) -> bytearray:
        return self._buffer if self.count == len(self._buffer) else self._buffer[: self.count]


class _Failure(Exception):
    """An answer that cannot be used; the next one may."""

    def __init__(self, why: str, *, throttled: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.throttled = throttled


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
