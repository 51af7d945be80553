"""Every error that crosses a room, with what shall become of it written on the class.

A catcher asks `error.retryable` and `error.code`; it never decides by itself whether trying again helps.
Messages say what happened, to which input, and what to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar


class SyncError(Exception):
    """Base of all errors that the system raises on purpose."""

    code: ClassVar[str] = "INTERNAL_ERROR"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __reduce__(self) -> tuple[type[SyncError], tuple[str]]:
        return type(self), (self.message,)


class InputError(SyncError):
    """The caller's mistake; the same request will fail again."""

    code = "INVALID_REQUEST"


@dataclass(frozen=True, slots=True)
class InputProblem:
    """One thing that is wrong with an upload: where it is, and why it cannot be used."""

    line: int
    column: str | None
    reason: str

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class InvalidBatch(InputError):
    """An upload that cannot become a batch; `problems` names every bad row at once."""

    code = "INVALID_CSV"

    def __init__(self, message: str, problems: Sequence[InputProblem] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems)


class TooLarge(InputError):
    """An upload beyond a limit; the message names the limit."""

    code = "TOO_LARGE"


class NotFound(InputError):
    """The batch, item, report or analysis does not exist."""

    code = "NOT_FOUND"


def batch_not_found(batch_id: str) -> NotFound:
    """Say that there is no such batch, in the words of the customer's document."""
    return NotFound(f"Batch {batch_id} not found")


def analysis_not_found(analysis_id: str) -> NotFound:
    """Say that there is no such analysis."""
    return NotFound(f"Analysis {analysis_id} not found")


class WrongState(InputError):
    """The batch exists but its state does not allow the request."""

    code = "WRONG_STATE"


class IdempotencyConflict(InputError):
    """An Idempotency-Key came back with other content."""

    code = "IDEMPOTENCY_CONFLICT"


class Forbidden(InputError):
    """The caller may not do this."""

    code = "FORBIDDEN"


class MediaError(SyncError):
    """A file that cannot be analysed, now or later."""

    code = "MEDIA_ERROR"


class MediaNotFound(MediaError):
    code = "MEDIA_NOT_FOUND"


class PathNotAllowed(MediaError):
    """A path that leaves the media roots, through a symbolic link for example."""

    code = "PATH_NOT_ALLOWED"


class MediaUnsupported(MediaError):
    """Not audio or video, or in a format that no decoder here reads."""

    code = "MEDIA_UNSUPPORTED"


class MediaCorrupt(MediaError):
    """Damaged; the message says how far the file could be read."""

    code = "MEDIA_CORRUPT"


class NoAudio(MediaError):
    """No audio stream, or not the one that was asked for."""

    code = "NO_AUDIO"


class TooShort(MediaError):
    """Less audio than any comparison needs."""

    code = "MEDIA_TOO_SHORT"


class MediaChanged(MediaError):
    """Another state of the file came up while it was read, or than the one that the item is pinned to."""

    code = "MEDIA_CHANGED"


class MediaForbidden(MediaError):
    """Whoever keeps the file does not let it be read; the message says what to allow."""

    code = "MEDIA_FORBIDDEN"


class MediaArchived(MediaError):
    """The file lies in an archive and must be restored before it can be read."""

    code = "MEDIA_ARCHIVED"


class MediaInOtherRegion(MediaError):
    """The file lies in another region than the one that workers read from."""

    code = "MEDIA_IN_OTHER_REGION"


class MediaTooLarge(MediaError):
    """The file is larger, or takes longer to read, than is allowed for its kind."""

    code = "MEDIA_TOO_LARGE"


class AnalysisError(SyncError):
    """The analysis cannot be done, now or later."""

    code = "ANALYSIS_ERROR"


class MethodUnavailable(AnalysisError):
    """A method, or its model, is not installed where the item ran."""

    code = "METHOD_UNAVAILABLE"


class AnalysisTimeout(AnalysisError):
    """The item ran longer than an item may."""

    code = "ANALYSIS_TIMEOUT"


class AttemptsExhausted(AnalysisError):
    """Each attempt at the item ended without a result: a poison item."""

    code = "ATTEMPTS_EXHAUSTED"


class TransientError(SyncError):
    """Trying again later may help.

    `blames_item`: whether an attempt that ended so counts against the item; trouble of the storage does not.
    """

    code = "TRANSIENT"
    retryable = True
    blames_item: ClassVar[bool] = True


class Throttled(TransientError):
    code = "THROTTLED"
    blames_item = False


class StorageUnavailable(TransientError):
    code = "STORAGE_UNAVAILABLE"
    blames_item = False


class MediaUnreachable(TransientError):
    """The server that an https address names gives no usable answers; the item named it, so it has its attempts."""

    code = "MEDIA_UNREACHABLE"


class DecoderCrashed(TransientError):
    """The child process died in native code, or gave no sign of progress."""

    code = "DECODER_CRASHED"


class OutOfMemory(TransientError):
    code = "OUT_OF_MEMORY"


class LeaseLost(SyncError):
    """Somebody else holds the item now: write nothing that counts, acknowledge nothing."""

    code = "LEASE_LOST"


class ConfigurationError(SyncError):
    """A setting is missing or wrong; the message says what to set."""

    code = "CONFIGURATION_ERROR"


class ServiceUnreachable(SyncError):
    """A client got no answer from the API."""

    code = "SERVICE_UNREACHABLE"
    retryable = True
