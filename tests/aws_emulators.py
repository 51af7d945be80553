"""Local AWS: two emulators, each a process of its own on 127.0.0.1, and the resources that the system needs.

ministack does transactions and concurrency as AWS does; moto is the second opinion on plain API behaviour.
"""

from __future__ import annotations

import atexit
import json
import socket
import subprocess
import sys
import time
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from botocore.config import Config
from botocore.session import Session

from sync_core.backends.aws import clients
from sync_core.backends.aws.open import AwsBackend, open_backend
from sync_core.backends.aws.resources import BATCHES_BY_TIME, ITEMS_DUE, AwsResources
from sync_core.domain.batch import Priority
from tests.fakes.clock import FakeClock

EMULATORS = ("ministack", "moto")
REGION = "eu-central-1"
_FOR_EVER = timedelta(days=36_500)
_KEY_ID = _SECRET = "test"
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": _KEY_ID, "AWS_SECRET_ACCESS_KEY": _SECRET, "AWS_DEFAULT_REGION": REGION}
"""What a child process needs, to speak to an emulator; the environment of the tests is left as it is."""


class Emulator:
    """A running emulator; it ends with this process."""

    def __init__(self, name: str) -> None:
        self.name = name
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "tests.aws_emulator_process", name, str(self.port)]
        self._process = subprocess.Popen(
            command, cwd=Path(__file__).parents[1], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        atexit.register(self.stop)
        self._wait_until_it_answers()

    def put_clock_forward(self, seconds: float) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n"

    @cache  # noqa: B019 - it lives as long as this process
    def client(self, service: str) -> Any:
        """Give a plain synchronous client."""
        return Session().create_client(
            service,
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=_KEY_ID,
            aws_secret_access_key=_SECRET,
            config=Config(retries={"total_max_attempts": 1}),
        )

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(10)

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as connection:
                if connection.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, f"{self.name} ended at once"
            time.sleep(0.05)
        raise TimeoutError(f"{self.name} does not answer")


@cache
def emulator(name: str) -> Emulator:
    """Give the emulator of this test process, started at the first call."""
    clients._session().set_credentials(_KEY_ID, _SECRET)
    return Emulator(name)


def open_emulated(name: str, *, max_receives: int = 12, **options: Any) -> AwsBackend:
    """Open a back end on fresh resources of an emulator."""
    running = emulator(name)
    resources = make_resources(running, max_receives=max_receives)
    return open_backend(
        resources, endpoint_url=running.endpoint_url, region=REGION, **{"retention": _FOR_EVER, **options}
    )


def open_under_clock(name: str, clock: FakeClock, *, max_receives: int) -> AwsBackend:
    """Open a back end whose emulator's clock is put forward whenever the test advances its own."""
    advance = clock.advance

    def advance_both(seconds: float) -> None:
        advance(seconds)
        emulator(name).put_clock_forward(seconds)

    clock.advance = advance_both  # type: ignore[method-assign]
    return open_emulated(name, max_receives=max_receives)


def make_resources(running: Emulator, *, max_receives: int) -> AwsResources:
    """Create a table, a bucket and the queues, under names that nobody else uses."""
    stem = f"sync-{uuid4().hex[:12]}"
    _make_table(running.client("dynamodb"), stem)
    running.client("s3").create_bucket(Bucket=stem, CreateBucketConfiguration={"LocationConstraint": REGION})
    queues = _Queues(running.client("sqs"), stem, max_receives)
    return AwsResources(stem, stem, queues, queues.dead)


class _Queues(dict[Priority, str]):
    """URLs of queues that are created when they are first asked for: most tests need none."""

    def __init__(self, sqs: Any, stem: str, max_receives: int) -> None:
        super().__init__()
        self._sqs, self._stem, self._max_receives = sqs, stem, max_receives
        self.dead = _DeadLetterQueues(sqs, stem)

    def __missing__(self, priority: Priority) -> str:
        url = self.dead[priority]
        arn = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": self._max_receives})
        made = self._sqs.create_queue(QueueName=f"{self._stem}-{priority}", Attributes={"RedrivePolicy": policy})
        self[priority] = made["QueueUrl"]
        return self[priority]


class _DeadLetterQueues(dict[Priority, str]):
    def __init__(self, sqs: Any, stem: str) -> None:
        super().__init__()
        self._sqs, self._stem = sqs, stem

    def __missing__(self, priority: Priority) -> str:
        self[priority] = self._sqs.create_queue(QueueName=f"{self._stem}-{priority}-dead")["QueueUrl"]
        return self[priority]


def _make_table(dynamodb: Any, name: str) -> None:
    dynamodb.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_keys("pk", "sk"),
        AttributeDefinitions=[
            {"AttributeName": attribute, "AttributeType": kind}
            for attribute, kind in {
                "pk": "S", "sk": "S", "listed": "S", "listed_at": "S", "due": "S", "due_at": "N"
            }.items()
        ],
        GlobalSecondaryIndexes=[
            {"IndexName": index, "KeySchema": _keys(*keys), "Projection": {"ProjectionType": "KEYS_ONLY"}}
            for index, keys in {BATCHES_BY_TIME: ("listed", "listed_at"), ITEMS_DUE: ("due", "due_at")}.items()
        ],
    )  # fmt: skip


def _keys(hashed: str, ranged: str) -> list[dict[str, str]]:
    return [{"AttributeName": hashed, "KeyType": "HASH"}, {"AttributeName": ranged, "KeyType": "RANGE"}]
