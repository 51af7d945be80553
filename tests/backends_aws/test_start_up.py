"""What a process finds when it starts: all resources, some, none, or no AWS at all."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from sync_core.backends.aws.open import AwsBackend, open_backend
from sync_core.backends.aws.resources import AwsResources
from sync_core.domain.batch import Priority
from sync_core.domain.errors import ConfigurationError
from tests.aws_emulators import EMULATORS, REGION, emulator
from tests.backends_aws.traffic import OneFault, refusal


async def test_all_is_there(backend: AwsBackend) -> None:
    for priority in Priority:
        assert backend.resources.queue_urls[priority]
    await backend.check()


@pytest.mark.parametrize("name", EMULATORS)
async def test_what_is_missing_is_named_with_the_command_that_makes_it(name: str) -> None:
    running = emulator(name)
    urls = {priority: f"{running.endpoint_url}/000000000000/gone-{priority}" for priority in Priority}
    dead = {priority: f"{url}-dead" for priority, url in urls.items()}
    nowhere = open_backend(
        AwsResources("gone-table", "gone-bucket", urls, dead), endpoint_url=running.endpoint_url, region=REGION
    )
    with pytest.raises(ConfigurationError) as raised:
        await nowhere.check()
    await nowhere.close()
    message = raised.value.message
    queues = [f"queue gone-{priority}{dead}" for priority in Priority for dead in ("", "-dead")]
    assert [thing for thing in ("table gone-table", "bucket gone-bucket", *queues) if thing not in message] == []
    assert "sam deploy" in message


async def test_only_what_is_missing_is_named(backend: AwsBackend) -> None:
    partly = replace(backend, resources=replace(backend.resources, bucket="gone-bucket"))
    with pytest.raises(ConfigurationError, match=r"missing: bucket gone-bucket\. Make"):
        await partly.check()


async def test_an_endpoint_that_nobody_answers() -> None:
    nowhere = open_backend(AwsResources("t", "b", {}, {}), endpoint_url="http://127.0.0.1:9", region=REGION)
    with pytest.raises(ConfigurationError, match="cannot be asked"):
        await nowhere.check()
    await nowhere.close()


async def test_a_role_that_may_not(ministack: AwsBackend) -> None:
    await OneFault.on(ministack, "DescribeTable", answer=refusal("AccessDeniedException"))
    with pytest.raises(ConfigurationError, match="policy"):
        await ministack.check()


async def test_nothing_is_sent_before_the_first_call() -> None:
    with socket.create_server(("127.0.0.1", 0)) as endpoint:
        endpoint.setblocking(False)
        address = f"http://127.0.0.1:{endpoint.getsockname()[1]}"
        unused = open_backend(AwsResources("t", "b", {}, {}), endpoint_url=address, region=REGION)
        await asyncio.sleep(0.05)
        await unused.close()
        with pytest.raises(BlockingIOError):  # nobody has connected
            endpoint.accept()
