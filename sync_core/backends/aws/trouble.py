"""What an AWS error means here: try again, give up for now, or a bug."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from random import uniform
from typing import ParamSpec, TypeVar

import aiohttp
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as EndpointError
from botocore.parsers import ResponseParserError

from sync_core.domain.errors import StorageUnavailable, Throttled, TransientError

P = ParamSpec("P")
T = TypeVar("T")

_THROTTLING = frozenset(
    {
        "OverLimit",
        "ProvisionedThroughputExceeded",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingError",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionConflict",
        "TransactionConflictException",
    }
)
_PASSING = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "TransactionInProgressException",
    }
)
_TO_BE_MENDED = {
    "AccessDenied": "allow it in the role's policy",
    "AccessDeniedException": "allow it in the role's policy",
    "AWS.SimpleQueueService.NonExistentQueue": "create the queue",
    "ExpiredToken": "renew the credentials",
    "ExpiredTokenException": "renew the credentials",
    "InvalidAccessKeyId": "check the credentials",
    "InvalidClientTokenId": "check the credentials",
    "NoSuchBucket": "create the bucket",
    "PermanentRedirect": "set AWS_REGION to the bucket's region",
    "QueueDoesNotExist": "create the queue",
    "ResourceNotFoundException": "create the table",
    "SignatureDoesNotMatch": "check the credentials and the machine's clock",
    "UnrecognizedClientException": "check the credentials",
}
_NO_ANSWER = (EndpointError, HTTPClientError, ResponseParserError, aiohttp.ClientError, TimeoutError, ConnectionError)
_NO_CREDENTIALS = (NoCredentialsError, CredentialRetrievalError, TokenRetrievalError)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on trying: pauses grow from `first` to `most`, each drawn at random from nothing to its length."""

    attempts: int = 8
    first_pause_seconds: float = 0.05
    most_pause_seconds: float = 1.0
    give_up_seconds: float = 15.0
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def pauses(self) -> Iterator[float]:
        for attempt in range(self.attempts - 1):
            yield uniform(0.0, min(self.first_pause_seconds * 2**attempt, self.most_pause_seconds))


def error_code(error: BaseException) -> str:
    """Give AWS's code of an error, or an empty text."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, ClientError) else ""


def as_transient(error: BaseException) -> TransientError | None:
    """Say what the error means for the system; None for one that no waiting and no operator mends: a bug."""
    if isinstance(error, _NO_ANSWER):
        return StorageUnavailable(f"AWS gave no answer ({type(error).__name__}: {error}).")
    if isinstance(error, _NO_CREDENTIALS):
        return StorageUnavailable(f"There are no usable AWS credentials ({error}); set them in the environment.")
    if not isinstance(error, ClientError):
        return None
    codes = {error_code(error), *_cancellation_codes(error)}
    if codes & _THROTTLING:
        return Throttled(f"AWS asks to slow down: {error}")
    if codes & _PASSING or _status(error) >= 500:
        return StorageUnavailable(f"AWS failed: {error}")
    advice = next((_TO_BE_MENDED[code] for code in codes if code in _TO_BE_MENDED), None)
    return StorageUnavailable(f"AWS refused: {error}; {advice}.") if advice else None


def passes_soon(error: BaseException) -> bool:
    """Tell whether the same request may succeed in a moment, without anybody doing anything."""
    transient = as_transient(error)
    return transient is not None and not (isinstance(error, _NO_CREDENTIALS) or error_code(error) in _TO_BE_MENDED)


async def patiently(patience: Patience, send: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
    """Send a request until it is answered; it must be one that may be sent twice.

    Raises
    ------
    TransientError
        If it was not answered in time. It may have been carried out all the same.
    """
    pauses, started_at = patience.pauses(), asyncio.get_running_loop().time()
    while True:
        try:
            return await send(*args, **kwargs)
        except (BotoCoreError, ClientError, *_NO_ANSWER, *_NO_CREDENTIALS) as error:
            transient = as_transient(error)
            if transient is None:
                raise
            pause = next(pauses, None) if passes_soon(error) else None
            if pause is None or asyncio.get_running_loop().time() - started_at > patience.give_up_seconds:
                raise transient from error
        await patience.sleep(pause)


def _cancellation_codes(error: ClientError) -> set[str]:
    """Give the reasons for which a transaction was cancelled; none if a condition failed, which is an answer."""
    reasons = error.response.get("CancellationReasons", [])
    codes = {str(reason.get("Code")) for reason in reasons}
    return set() if "ConditionalCheckFailed" in codes else codes


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
