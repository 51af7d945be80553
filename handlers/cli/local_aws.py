"""The AWS back end without AWS: an emulator in a child process, with the resources of `template.yaml` in it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sync_core.domain.errors import ConfigurationError

_TEMPLATE = Path(__file__).parents[2] / "template.yaml"
_REGION = "eu-central-1"
_START_SECONDS = 60.0
_STACK = "sync-analyzer-local"
_CREDENTIALS = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
"""The emulator has to know them too: it checks the signatures of presigned addresses."""
_VARIABLES = {
    "SYNC_AWS_TABLE": "Table",
    "SYNC_AWS_BUCKET": "Bucket",
    "SYNC_AWS_QUEUES": "Queues",
    "SYNC_AWS_DEAD_LETTERS": "DeadLetters",
}


@contextlib.contextmanager
def local_aws() -> Iterator[None]:
    """Run an emulator while the block lasts, and name it and its resources in this process's environment.

    Raises
    ------
    ConfigurationError
        If there is no emulator or no template, or the emulator does not start.
    """
    template = _storage_template()
    with _emulator() as endpoint_url:
        os.environ |= {"AWS_ENDPOINT_URL": endpoint_url, "AWS_DEFAULT_REGION": _REGION, **_CREDENTIALS}
        outputs = asyncio.run(_make_stack(template, endpoint_url))
        os.environ |= {variable: outputs[output] for variable, output in _VARIABLES.items()}
        yield


def _storage_template() -> Mapping[str, Any]:
    missing = [name for name in ("aiobotocore", "ministack", "yaml") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigurationError(f"--local needs {', '.join(missing)}: install `sync-analyzer[aws-local]`.")
    if not _TEMPLATE.exists():
        raise ConfigurationError(f"--local makes its resources out of {_TEMPLATE}, which is not there.")
    from handlers.cli.stack_template import read_template, storage_part  # needs a YAML reader

    return storage_part(read_template(_TEMPLATE))


async def _make_stack(template: Mapping[str, Any], endpoint_url: str) -> Mapping[str, str]:
    from sync_core.backends.aws.stack import make_stack

    return await make_stack(_STACK, template, endpoint_url=endpoint_url, region=_REGION)


@contextlib.contextmanager
def _emulator() -> Iterator[str]:
    """Start the emulator at a free port; it ends with the block, or with this process."""
    port = _free_port()
    command = [sys.executable, "-m", "handlers.cli.emulator", str(port)]
    environment = {**os.environ, **_CREDENTIALS}
    process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True)
    try:
        _wait_until_it_answers(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_until_it_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with socket.socket() as connection:
            if connection.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise ConfigurationError("The AWS emulator did not start; its own words are above.")
