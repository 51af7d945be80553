"""What AWS's errors mean here, and how long is gone on trying."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from sync_core.backends.aws.trouble import Patience, as_transient, patiently
from sync_core.domain.errors import StorageUnavailable, Throttled
from tests.backends_aws.traffic import conflict, refusal

URL = {"endpoint_url": "http://nowhere"}


def error_of(code: str, *, status: int = 400) -> ClientError:
    return ClientError(refusal(code, status=status)[1], "Something")


class Sleeper:
    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


class Endpoint:
    """Fails with these errors, one after the other, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    async def send(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


@pytest.mark.parametrize(
    "error",
    [
        error_of("ProvisionedThroughputExceededException"),
        error_of("ThrottlingException"),
        error_of("SlowDown", status=503),
        error_of("TransactionConflictException"),
        ClientError(conflict(3)[1], "TransactWriteItems"),
    ],
    ids=str,
)
def test_what_asks_to_slow_down(error: Exception) -> None:
    assert isinstance(as_transient(error), Throttled)


@pytest.mark.parametrize(
    "error",
    [
        error_of("InternalServerError", status=500),
        error_of("NobodyKnowsThis", status=502),
        error_of("TransactionInProgressException"),
        ReadTimeoutError(**URL),
        ConnectTimeoutError(**URL),
        EndpointConnectionError(**URL),
        NoCredentialsError(),
        TimeoutError(),
    ],
    ids=str,
)
def test_what_is_out_of_order(error: Exception) -> None:
    assert isinstance(as_transient(error), StorageUnavailable)


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AccessDeniedException", "policy"),
        ("ExpiredTokenException", "credentials"),
        ("NoSuchBucket", "create the bucket"),
        ("PermanentRedirect", "AWS_REGION"),
        ("ResourceNotFoundException", "create the table"),
        ("SignatureDoesNotMatch", "clock"),
    ],
)
async def test_what_an_operator_mends_says_how_and_is_not_asked_again(code: str, advice: str) -> None:
    endpoint = Endpoint(error_of(code))
    with pytest.raises(StorageUnavailable, match=advice):
        await patiently(Patience(), endpoint.send)
    assert endpoint.calls == 1


@pytest.mark.parametrize("error", [error_of("ValidationException"), ParamValidationError(report="wrong"), ValueError()])
async def test_a_bug_is_raised_as_it_is(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        await patiently(Patience(), Endpoint(error).send)
    assert raised.value is error


def test_a_failed_condition_is_an_answer() -> None:
    _, parsed = refusal(
        "TransactionCanceledException",
        CancellationReasons=[{"Code": "ConditionalCheckFailed"}, {"Code": "TransactionConflict"}],
    )
    assert as_transient(ClientError(parsed, "TransactWriteItems")) is None


async def test_pauses_grow_and_are_drawn_at_random(sleeper: Sleeper) -> None:
    patience = Patience(attempts=8, first_pause_seconds=0.1, most_pause_seconds=1.0, sleep=sleeper.sleep)
    endpoint = Endpoint(*(error_of("SlowDown") for _ in range(7)))
    assert await patiently(patience, endpoint.send) == "answer"
    limits = [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    assert all(0 <= pause <= most for pause, most in zip(sleeper.pauses, limits, strict=True))
    assert len(set(sleeper.pauses)) == 7


async def test_patience_ends(sleeper: Sleeper) -> None:
    endpoint = Endpoint(*(error_of("SlowDown") for _ in range(99)))
    with pytest.raises(Throttled):
        await patiently(Patience(attempts=3, sleep=sleeper.sleep), endpoint.send)
    assert (endpoint.calls, len(sleeper.pauses)) == (3, 2)


async def test_patience_ends_by_time_too(sleeper: Sleeper) -> None:
    endpoint = Endpoint(*(ReadTimeoutError(**URL) for _ in range(99)))
    with pytest.raises(StorageUnavailable):
        await patiently(Patience(give_up_seconds=-1.0, sleep=sleeper.sleep), endpoint.send)
    assert endpoint.calls == 1
