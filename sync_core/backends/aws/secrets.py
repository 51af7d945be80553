"""Read a secret from AWS Secrets Manager."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.trouble import Patience, patiently
from sync_core.domain.errors import ConfigurationError, TransientError

_PATIENCE = Patience(attempts=4, give_up_seconds=5.0)


async def read_secret(clients: Clients, secret_id: str) -> str:
    """Give the text of a secret, as it is now.

    Raises
    ------
    ConfigurationError
        If there is no such secret, it holds no text, or it may not be read.
    """
    client = await clients.secretsmanager()
    try:
        answer = await patiently(_PATIENCE, client.get_secret_value, SecretId=secret_id)
    except (TransientError, BotoCoreError, ClientError) as error:
        raise ConfigurationError(
            f"The secret {secret_id} (SYNC_AWS_WEBHOOK_SECRETS) cannot be read: {error}"
        ) from error
    if "SecretString" not in answer:
        raise ConfigurationError(f"The secret {secret_id} (SYNC_AWS_WEBHOOK_SECRETS) holds bytes; store it as text.")
    return str(answer["SecretString"])
