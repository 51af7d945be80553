"""`--local`: an emulator with the resources of template.yaml, for as long as the command runs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from handlers.backends import check_configured
from handlers.cli.local_aws import local_aws
from handlers.settings import WorkerSettings, read_settings
from sync_core.backends.aws.clients import Clients


@pytest.fixture
def own_environment(monkeypatch) -> None:
    monkeypatch.setattr(os, "environ", os.environ.copy())


def emulators_of(pid: int) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "handlers.cli.emulator" in child.cmdline()]


async def redrive_policies(urls: dict[str, str]) -> list[dict]:
    clients = Clients()
    sqs = await clients.sqs()
    asked = [await sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"]) for url in urls.values()]
    await clients.close()
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
