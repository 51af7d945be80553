"""The Lambda function that delivers webhooks: told by the stream, or by the clock; on both emulators."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from handlers import webhooks
from handlers.settings import WebhookSettings
from sync_core.backends.aws.keys import event_key, item_key, meta_key
from sync_core.backends.aws.open import AwsBackend, open_backend
from sync_core.backends.aws.resources import AwsResources
from sync_core.backends.aws.stream import batches_with_events
from sync_core.domain.batch import Batch, BatchStatus, Counters, EventType, ItemRequest, Priority, StartOptions
from sync_core.domain.errors import ConfigurationError
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs import webhook_rules as rules
from sync_core.jobs.ports.event_outbox import DeliveryStatus, WebhookDelivery
from sync_core.jobs.webhook_secrets import new_secret
from tests.aws_emulators import EMULATORS, REGION, Emulator, emulator, make_resources
from tests.fakes.receiver import HANG, OK, Receiver, Reply, receiving_in_thread

SECRET = new_secret()


class Cloud:
    """One emulator with the resources of a stack, and the function upon them."""

    def __init__(self, running: Emulator) -> None:
        self.running = running
        self.made: AwsResources = make_resources(running, max_receives=12)

    def do(self, work: Any) -> Any:
        """Run `work(backend)` on a back end of its own."""

        async def on_backend() -> Any:
            backend: AwsBackend = open_backend(self.made, endpoint_url=self.running.endpoint_url, region=REGION)
            try:
                return await work(backend)
            finally:
                await backend.close()

        return asyncio.run(on_backend())

    def started(self, url: str, *, at: datetime | None = None) -> str:
        """Start a batch whose events go to the receiver; gives its id."""
        now = at or datetime.now(UTC)
        batch = Batch(new_batch_id(now), BatchStatus.UPLOADED, Counters(1), 1, Priority.NORMAL, now, webhook_url=url)

        async def start(backend: AwsBackend) -> None:
            request = ItemRequest("/mnt/data/m.wav", "/mnt/data/d.wav", DEFAULT_METHODS)
            await backend.batch_store.create(batch, [request])
            await backend.batch_store.start(batch.batch_id, StartOptions(1), now)

        self.do(start)
        return batch.batch_id

    def delivery(self, batch_id: str) -> WebhookDelivery:
        (found,) = self.do(lambda backend: backend.event_outbox.deliveries(batch_id))
        return found

    def save(self, delivery: WebhookDelivery) -> None:
        assert self.do(lambda backend: backend.event_outbox.save(delivery))


@pytest.fixture(params=EMULATORS)
def cloud(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """Set the environment of the function."""
    running = emulator(request.param)
    cloud = Cloud(running)
    urls = json.dumps({str(priority): f"{running.endpoint_url}/none" for priority in Priority})
    name = f"webhooks-{uuid4().hex}"
    arn = running.client("secretsmanager").create_secret(Name=name, SecretString=f"{SECRET}\n")["ARN"]
    for variable, value in {
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "AWS_DEFAULT_REGION": REGION,
        "SYNC_BACKEND": "aws",
        "SYNC_AWS_TABLE": cloud.made.table,
        "SYNC_AWS_BUCKET": cloud.made.bucket,
        "SYNC_AWS_QUEUES": urls,
        "SYNC_AWS_DEAD_LETTERS": urls,
        "SYNC_AWS_WEBHOOK_SECRETS": arn,
        "SYNC_WEBHOOK_ALLOW_PRIVATE": "true",
        "SYNC_WEBHOOK_TIMEOUT_SECONDS": "2",
    }.items():
        monkeypatch.setenv(variable, value)
    return cloud


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving_in_thread() as opened:
        yield opened


def invoke(event: dict[str, Any], *, seconds: float = 30.0) -> None:
    webhooks.handler(event, SimpleNamespace(get_remaining_time_in_millis=lambda: int(1000 * seconds)))


def stream_of(batch_ids: Sequence[str]) -> dict[str, Any]:
    """Make what Lambda hands over of a stream that carries keys only."""
    keys = [event_key(batch_id, EventType.BATCH_STARTED) for batch_id in batch_ids]
    return {"Records": [_record(*key) for key in keys]}


def _record(pk: str, sk: str) -> dict[str, Any]:
    keys = {"pk": {"S": pk}, "sk": {"S": sk}}
    return {"eventName": "INSERT", "eventSource": "aws:dynamodb", "dynamodb": {"Keys": keys, "SequenceNumber": "1"}}


EVERY_MINUTE = {"version": "0", "source": "aws.scheduler"}


def test_the_stream_drives_the_first_attempt_signed_with_the_kept_secret(cloud: Cloud, receiver: Receiver):
    batch_id = cloud.started(receiver.url)
    invoke(stream_of([batch_id]))
    (request,) = receiver.requests
    assert request.verified(SECRET)["data"]["batch_id"] == batch_id
    assert cloud.delivery(batch_id).status is DeliveryStatus.DELIVERED


def test_a_record_that_comes_twice_is_sent_once(cloud: Cloud, receiver: Receiver):
    batch_id = cloud.started(receiver.url)
    for _ in range(2):
        invoke(stream_of([batch_id, batch_id]))
    assert len(receiver.requests) == 1


def test_the_first_attempt_waits_for_no_clock_that_goes_before(cloud: Cloud, receiver: Receiver):
    batch_id = cloud.started(receiver.url, at=datetime.now(UTC) + timedelta(seconds=20))
    invoke(stream_of([batch_id]))
    assert cloud.delivery(batch_id).status is DeliveryStatus.DELIVERED


def test_the_schedule_sends_what_is_due_and_nothing_else(cloud: Cloud, receiver: Receiver):
    receiver.will(Reply(500), OK)
    batch_id = cloud.started(receiver.url)
    invoke(stream_of([batch_id]))
    invoke(EVERY_MINUTE)
    failed = cloud.delivery(batch_id)
    assert (failed.status, len(receiver.requests)) == (DeliveryStatus.PENDING, 1)
    cloud.save(replace(failed, next_attempt_at=datetime.now(UTC)))
    invoke(EVERY_MINUTE)
    assert cloud.delivery(batch_id).status is DeliveryStatus.DELIVERED
    assert len({request.event_id for request in receiver.requests}) == 1
    assert len(receiver.requests) == 2


def test_the_stream_does_not_hasten_a_retry(cloud: Cloud, receiver: Receiver):
    receiver.will(Reply(503, {"retry-after": "3600"}))
    batch_id = cloud.started(receiver.url)
    invoke(stream_of([batch_id]))
    invoke(stream_of([batch_id]))
    assert len(receiver.requests) == 1


def test_the_schedule_sends_what_the_stream_never_told_of(cloud: Cloud, receiver: Receiver):
    batch_ids = [cloud.started(receiver.url) for _ in range(5)]
    invoke(EVERY_MINUTE)
    assert {cloud.delivery(batch_id).status for batch_id in batch_ids} == {DeliveryStatus.DELIVERED}


def test_what_another_invocation_sends_just_now_is_left_to_it(cloud: Cloud, receiver: Receiver):
    batch_id = cloud.started(receiver.url)
    claimed = rules.claim(cloud.delivery(batch_id), now=datetime.now(UTC), lease_seconds=60)
    cloud.save(claimed)
    invoke(stream_of([batch_id]))
    invoke(EVERY_MINUTE)
    assert receiver.requests == []


def test_without_time_nothing_is_begun_and_nothing_is_lost(cloud: Cloud, receiver: Receiver):
    batch_id = cloud.started(receiver.url)
    invoke(EVERY_MINUTE, seconds=6.0)
    assert receiver.requests == []
    assert cloud.delivery(batch_id).tries == 0
    invoke(EVERY_MINUTE)
    assert cloud.delivery(batch_id).status is DeliveryStatus.DELIVERED


def test_a_hanging_receiver_ends_no_invocation(cloud: Cloud, receiver: Receiver):
    receiver.will(HANG)
    batch_id = cloud.started(receiver.url)
    invoke(stream_of([batch_id]))
    delivery = cloud.delivery(batch_id)
    assert (delivery.status, delivery.tries) == (DeliveryStatus.PENDING, 1)
    assert "within 2 s" in delivery.attempts[0].error


def test_a_name_whose_look_up_hangs_ends_no_invocation(cloud: Cloud, monkeypatch: pytest.MonkeyPatch):
    """It hangs until the invocation has ended; one that waited for it would never end."""
    has_ended, resolve = threading.Event(), socket.getaddrinfo

    def hang(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "hanging.example":
            has_ended.wait()
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    batch_id = cloud.started("http://hanging.example/hook")
    invoke(stream_of([batch_id]))
    has_ended.set()
    assert "hanging.example" in cloud.delivery(batch_id).attempts[0].error


def test_without_a_secret_events_are_undeliverable_and_say_why(
    cloud: Cloud, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("SYNC_AWS_WEBHOOK_SECRETS")
    batch_id = cloud.started(receiver.url)
    invoke(stream_of([batch_id]))
    delivery = cloud.delivery(batch_id)
    assert (delivery.status, receiver.requests) == (DeliveryStatus.UNDELIVERABLE, [])
    assert "SYNC_WEBHOOK_SECRETS" in delivery.reason


def test_a_secret_that_is_not_there_is_told_and_the_events_wait(
    cloud: Cloud, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SYNC_AWS_WEBHOOK_SECRETS", "not-there")
    batch_id = cloud.started(receiver.url)
    with pytest.raises(ConfigurationError, match="SYNC_AWS_WEBHOOK_SECRETS"):
        invoke(stream_of([batch_id]))
    assert cloud.delivery(batch_id).status is DeliveryStatus.PENDING


@pytest.mark.parametrize("cloud", ["moto"], indirect=True)
def test_the_records_of_a_stream_with_keys_only_are_enough(cloud: Cloud, receiver: Receiver):
    """Read the emulator's own stream, as Lambda does."""
    specification = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    table = cloud.running.client("dynamodb").update_table(
        TableName=cloud.made.table, StreamSpecification=specification
    )["TableDescription"]
    batch_id = cloud.started(receiver.url)
    records = stream_records(cloud.running.client("dynamodbstreams"), table["LatestStreamArn"])
    assert len(records) > 2
    invoke({"Records": records})
    assert cloud.delivery(batch_id).status is DeliveryStatus.DELIVERED


def stream_records(streams: Any, arn: str) -> list[dict[str, Any]]:
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
    return streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]


def test_rows_that_are_no_events_are_passed_over():
    batch_id = "batch_20250828_140600_a1b2c3d4"
    others = [_record(*meta_key(batch_id)), _record(*item_key(batch_id, 3)), {"eventName": "INSERT"}]
    told = stream_of([batch_id, batch_id])["Records"]
    assert batches_with_events({"Records": [*others, *told]}) == (batch_id,)
    assert batches_with_events(EVERY_MINUTE) == ()


def test_secrets_are_not_in_what_settings_show_of_themselves(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SYNC_WEBHOOK_SECRETS", SECRET)
    settings = WebhookSettings()
    assert settings.signing_secrets == (SECRET,)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump_json()}"
