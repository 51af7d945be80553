"""Open the back end that the settings name. What speaks to AWS is imported only where AWS is meant."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from handlers.settings import CommonSettings
from sync_core.domain.errors import ConfigurationError
from sync_core.domain.media import MediaPolicy
from sync_core.jobs.ports.backend import Backend

if TYPE_CHECKING:
    from sync_core.backends.aws.media_objects import AwsMediaObjects
    from sync_core.backends.aws.open import AwsBackend
    from sync_core.backends.aws.resources import AwsResources


def open_configured(settings: CommonSettings) -> Backend:
    """Open the back end; the caller closes it.

    Raises
    ------
    ConfigurationError
        If it cannot be opened.
    """
    if settings.backend == "aws":
        return open_aws(settings)
    from sync_core.backends.embedded.open import open_backend

    return open_backend(settings.data_dir, max_receives=settings.max_receives)


async def check_configured(settings: CommonSettings) -> None:
    """Look whether the back end can be used, for a start that says at once what is missing.

    Raises
    ------
    ConfigurationError
        If it cannot; the message says what to do.
    """
    if settings.backend != "aws":
        await open_configured(settings).close()
        return
    backend = open_aws(settings)
    try:
        await backend.check()
    finally:
        await backend.close()


def open_aws(settings: CommonSettings) -> AwsBackend:
    """Open the AWS back end; nothing is sent before the first call.

    Raises
    ------
    ConfigurationError
        If it is not installed, or its resources are not named.
    """
    try:
        from sync_core.backends.aws.open import open_backend
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"SYNC_BACKEND=aws needs the package {error.name}: install `sync-analyzer[aws]`."
        ) from error
    return open_backend(_resources(settings), retention=timedelta(days=settings.retention_days))


def open_media(policy: MediaPolicy) -> AwsMediaObjects | None:
    """Open what reads media in S3, if a policy allows any there; the caller closes it.

    Raises
    ------
    ConfigurationError
        If buckets are allowed, and what reads them is not installed.
    """
    if not policy.allowed_buckets and not policy.unrestricted:
        return None
    try:
        from sync_core.backends.aws.media_objects import open_media_objects
    except ModuleNotFoundError as error:
        if not policy.allowed_buckets:
            return None
        raise ConfigurationError(
            f"SYNC_ALLOWED_BUCKETS needs the package {error.name}: install `sync-analyzer[aws]`."
        ) from error
    return open_media_objects(policy)


def _resources(settings: CommonSettings) -> AwsResources:
    from sync_core.backends.aws.resources import AwsResources

    table, bucket = settings.aws_table, settings.aws_bucket
    queues, dead_letters = settings.aws_queues, settings.aws_dead_letters
    if not (table and bucket and queues and dead_letters):
        raise ConfigurationError(_missing(settings))
    return AwsResources(table, bucket, queues, dead_letters)


def _missing(settings: CommonSettings) -> str:
    names = ("aws_table", "aws_bucket", "aws_queues", "aws_dead_letters")
    unset = ", ".join(f"SYNC_{name.upper()}" for name in names if not getattr(settings, name))
    return (
        f"SYNC_BACKEND=aws needs {unset} too. `sam deploy` prints their values as outputs of the stack; "
        "on one machine, `sync-analyzer serve --backend aws --local` makes what they name."
    )
