"""Which back end a process opens, and what it says where something for that is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from handlers.backends import check_configured, open_configured
from handlers.cli.backend_choice import BackendName, backend_arguments, backend_environment
from handlers.settings import ApiSettings, read_settings
from sync_core.domain.errors import ConfigurationError
from tests.aws_emulators import ENVIRONMENT, emulator, make_resources

URLS = '{"high": "http://q/high", "normal": "http://q/normal", "low": "http://q/low"}'


@pytest.fixture
def aws_settings(monkeypatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SYNC_BACKEND", "aws")
    monkeypatch.setenv("SYNC_AWS_TABLE", "sync-table")
    monkeypatch.setenv("SYNC_AWS_BUCKET", "sync-bucket")
    monkeypatch.setenv("SYNC_AWS_QUEUES", URLS)
    monkeypatch.setenv("SYNC_AWS_DEAD_LETTERS", URLS)


def test_what_aws_lacks_is_named_in_one_sentence(monkeypatch, aws_settings):
    monkeypatch.delenv("SYNC_AWS_BUCKET")
    monkeypatch.delenv("SYNC_AWS_QUEUES")
    with pytest.raises(ConfigurationError, match=r"needs SYNC_AWS_BUCKET, SYNC_AWS_QUEUES too\. `sam deploy`"):
        open_configured(read_settings(ApiSettings))


def test_a_priority_without_a_queue_is_refused(monkeypatch, aws_settings):
    monkeypatch.setenv("SYNC_AWS_QUEUES", '{"high": "http://q/high"}')
    with pytest.raises(ConfigurationError, match="SYNC_AWS_QUEUES: name a queue for each of"):
        read_settings(ApiSettings)


def test_relative_paths_mean_nothing_in_the_cloud(aws_settings):
    assert read_settings(ApiSettings).media_policy.relative_to is None


async def test_missing_resources_are_named_with_the_command_that_makes_them(monkeypatch, aws_settings):
    monkeypatch.setenv("AWS_ENDPOINT_URL", emulator("moto").endpoint_url)
    with pytest.raises(ConfigurationError, match=r"missing: table sync-table, bucket sync-bucket, .*sam deploy"):
        await check_configured(read_settings(ApiSettings))


async def test_existing_resources_pass_the_check(monkeypatch, aws_settings):
    running = emulator("moto")
    made = make_resources(running, max_receives=12)
    urls = {priority: made.queue_urls[priority] for priority in ("high", "normal", "low")}
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint_url)
    settings = read_settings(
        ApiSettings, aws_table=made.table, aws_bucket=made.bucket, aws_queues=urls, aws_dead_letters=urls
    )
    await check_configured(settings)


def test_local_goes_with_aws_alone(monkeypatch):
    monkeypatch.setenv("SYNC_BACKEND", "embedded")
    with pytest.raises(ConfigurationError, match="--local goes with --backend aws"):
        backend_environment(None, local=True)


def test_the_choice_is_handed_on_to_serve():
    assert backend_arguments(BackendName.AWS, local=True) == ["--backend", "aws", "--local"]
    assert backend_arguments(None, local=False) == []


def test_the_embedded_back_end_does_without_what_speaks_to_aws(tmp_path):
    program = (
        "import asyncio, sys\n"
        "from handlers.api.main import app\n"
        "from handlers.backends import check_configured\n"
        "from handlers.cli.main import app\n"
        "from handlers.settings import ApiSettings\n"
        "asyncio.run(check_configured(ApiSettings()))\n"
        "print(sorted({'aiobotocore', 'botocore', 'boto3', 'yaml', 'ministack'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
