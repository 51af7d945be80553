"""`--local`: an emulator with the resources of template.yaml, for as long as the command runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from functools import cache

import httpx
import psutil
import pytest

from handlers import drop_folder
from handlers.backends import check_configured, open_configured
from handlers.cli.local_aws import local_aws
from handlers.settings import WorkerSettings, read_settings
from sync_core.backends.aws import clients
from sync_core.domain.batch import BatchStatus
from sync_core.jobs.ports.backend import Backend
from sync_core.jobs.ports.batch_store import BatchPage


@pytest.fixture
def own_environment(monkeypatch) -> None:
    """Keep what is set in here; a session of AWS's clients holds on to the environment that it began with."""
    monkeypatch.setattr(os, "environ", os.environ.copy())
    monkeypatch.setattr(clients, "_session", cache(clients._session.__wrapped__))


def emulators_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "handlers.cli.emulator" in child.cmdline()]


async def redrive_policies(urls: dict[str, str]) -> list[dict]:
    ours = clients.Clients()
    sqs = await ours.sqs()
    asked = [await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]) for url in urls.values()]
    await ours.close()
    return [json.loads(answer["Attributes"]["RedrivePolicy"]) for answer in asked]


def test_the_templates_resources_are_there_and_end_with_the_block(own_environment):
    os.environ["SYNC_BACKEND"] = "aws"
    with local_aws():
        settings = read_settings(WorkerSettings)
        asyncio.run(check_configured(settings))
        policies = asyncio.run(redrive_policies(settings.aws_queues))
        (emulator,) = emulators_of(os.getpid())
        addresses = {connection.laddr.ip for connection in emulator.net_connections() if connection.status == "LISTEN"}
    assert [policy["maxReceiveCount"] for policy in policies] == [settings.max_receives] * 3
    assert addresses == {"127.0.0.1"}
    assert not emulator.is_running()


async def presigned(bucket: str) -> str:
    """Put an object, and give an address to read it at."""
    ours = clients.Clients()
    s3 = await ours.s3()
    await s3.put_object(Bucket=bucket, Key="drop/a.wav", Body=b"content")
    url = await s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "drop/a.wav"})
    await ours.close()
    return url


def test_presigned_addresses_are_good_whatever_credentials_the_user_has(own_environment):
    os.environ["AWS_SECRET_ACCESS_KEY"] = "the user's own"
    with local_aws():
        assert httpx.get(asyncio.run(presigned(os.environ["SYNC_AWS_BUCKET"]))).content == b"content"


async def dropped(keys: list[str], bucket: str) -> list[dict]:
    """Put objects, and receive what the bucket tells of them."""
    ours = clients.Clients()
    s3, sqs = await ours.s3(), await ours.sqs()
    for key in keys:
        await s3.put_object(Bucket=bucket, Key=key, Body=b"master_file,dub_file\n/mnt/data/m.wav,d.wav\n")
    urls = (await sqs.list_queues())["QueueUrls"]
    (url,) = [url for url in urls if "DropEvents" in url]
    messages: list[dict] = []
    while answer := (await sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)).get("Messages"):
        messages += [{"messageId": each["MessageId"], "body": each["Body"]} for each in answer]
    await ours.close()
    return messages


def test_the_bucket_tells_the_drop_folders_function_of_what_starts_a_batch(own_environment):
    os.environ |= {"SYNC_BACKEND": "aws", "SYNC_MEDIA_ROOTS": '["/mnt/data"]'}
    with local_aws():
        bucket = os.environ["SYNC_AWS_BUCKET"]
        messages = asyncio.run(dropped(["drop/a.csv", "drop/b.json", "results/b.csv", "drop/c.wav"], bucket))
        assert drop_folder.handler({"Records": messages}, None) == {"batchItemFailures": []}
        settings = read_settings(WorkerSettings)
        backend = open_configured(settings)
        page = asyncio.run(listed(backend))
    told = [json.loads(message["body"]) for message in messages]
    assert [record["s3"]["object"]["key"] for event in told for record in event.get("Records", ())] == ["drop/a.csv"]
    assert [event["Event"] for event in told if "Event" in event] == ["s3:TestEvent"] * 3
    assert [batch.status for batch in page.batches] == [BatchStatus.PROCESSING]


async def listed(backend: Backend) -> BatchPage:
    try:
        return await backend.batch_store.list_batches(limit=10)
    finally:
        await backend.close()


HOLD = """
import time
from handlers.cli.local_aws import local_aws
with local_aws():
    print(1, flush=True)
    time.sleep(60)
"""


def test_the_emulator_ends_with_a_command_that_is_killed():
    command = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert command.stdout.readline() == "1\n"
    (emulator,) = emulators_of(command.pid)
    command.send_signal(signal.SIGKILL)
    command.wait()
    psutil.wait_procs([emulator], timeout=20)
    assert not emulator.is_running()
