"""The options `--backend` and `--local` of the commands that start a service."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Annotated

import typer

from handlers.cli.local_aws import local_aws
from sync_core.domain.errors import ConfigurationError


class BackendName(StrEnum):
    EMBEDDED = "embedded"
    AWS = "aws"


BackendOption = Annotated[
    BackendName | None, typer.Option(help="Where batches, queue and reports live; default: SYNC_BACKEND.")
]
LocalOption = Annotated[
    bool, typer.Option("--local", help="With --backend aws: run an emulator of AWS on this machine, and keep nothing.")
]


def backend_environment(backend: BackendName | None, *, local: bool) -> AbstractContextManager[None]:
    """Put the choice into the environment, where the API and the worker read it.

    Raises
    ------
    ConfigurationError
        If `local` comes without the aws back end, or no emulator can be run.
    """
    if backend is not None:
        os.environ["SYNC_BACKEND"] = backend
    if not local:
        return nullcontext()
    if os.environ.get("SYNC_BACKEND") != BackendName.AWS:
        raise ConfigurationError("--local goes with --backend aws; the embedded back end is local by itself.")
    return local_aws()


def backend_arguments(backend: BackendName | None, *, local: bool) -> list[str]:
    """Give the choice as arguments of `serve`."""
    return [*(["--backend", backend.value] if backend else []), *(["--local"] if local else [])]
