"""The API behind API Gateway: `handlers.api.lambda_entry.handler`.

Lambda takes and gives 6 MB at most, and API Gateway waits for 29 s: what is refused here for that reason says where
to go instead.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from mangum import Mangum

from handlers.api.app import create_app
from handlers.api.services import build_services, open_services
from handlers.backends import open_aws
from handlers.logs import set_up_logging
from handlers.metrics import EmfWriter
from handlers.settings import LambdaSettings, read_settings
from sync_core.backends.aws.large_answers import store_answer
from sync_core.backends.aws.open import AwsBackend
from sync_core.jobs.ports.clock import SystemClock

if TYPE_CHECKING:
    from mangum.types import LambdaContext

_TOO_LARGE = 413
_SEE_OTHER = 303
_SMALL_CHARACTERS = 1_000_000
_MOST_BYTES = 5_000_000
_VALID_SECONDS = 900

_metrics = EmfWriter("api")

Answer = dict[str, Any]


def handler(event: dict[str, Any], context: LambdaContext) -> Answer:
    """Answer one request."""
    settings, backend, gateway = _process()
    answer: Answer = gateway(event, context)
    if settings.metrics_format == "emf":
        _metrics.write()
    if answer["statusCode"] == _TOO_LARGE:
        return _naming_the_drop_folder(answer, str(settings.aws_bucket))
    if _is_too_large(answer):
        return asyncio.get_event_loop().run_until_complete(_redirect(answer, backend))
    return answer


@cache
def _process() -> tuple[LambdaSettings, AwsBackend, Mangum]:
    """Make what all requests of this process share; the clients connect when they are first needed."""
    settings = read_settings(LambdaSettings)
    set_up_logging(settings.log_level, settings.log_format)
    backend = open_aws(settings)
    app = create_app(lambda: open_services(settings))
    app.state.services = build_services(settings, backend, SystemClock())
    return settings, backend, Mangum(app, lifespan="off")


def _naming_the_drop_folder(answer: Answer, bucket: str) -> Answer:
    body = json.loads(answer["body"])
    body["error"] += (
        f" Or put it as it is into the drop folder, s3://{bucket}/drop/, with a name that ends in .csv: it starts by "
        f"itself, and its results come to s3://{bucket}/results/."
    )
    return {**answer, "body": json.dumps(body)}


def _is_too_large(answer: Answer) -> bool:
    """Measure as Lambda does: the whole answer as JSON, in which each quote of the body takes two bytes."""
    if len(answer["body"]) < _SMALL_CHARACTERS:
        return False
    return len(json.dumps(answer, ensure_ascii=False).encode()) > _MOST_BYTES


async def _redirect(answer: Answer, backend: AwsBackend) -> Answer:
    headers: Mapping[str, str] = answer["headers"]
    content = b64decode(answer["body"]) if answer["isBase64Encoded"] else answer["body"].encode()
    url = await store_answer(
        backend,
        content,
        content_type=headers["content-type"],
        disposition=headers.get("content-disposition", "inline"),
        valid_seconds=_VALID_SECONDS,
    )
    message = (
        f"The answer has {len(content):,} bytes, more than fit here; fetch it within {_VALID_SECONDS // 60} minutes."
    )
    body = {"success": True, "message": message, "url": url, "expires_in_seconds": _VALID_SECONDS}
    kept = {name: headers[name] for name in ("x-request-id",) if name in headers}
    return {
        "statusCode": _SEE_OTHER,
        "headers": {**kept, "content-type": "application/json", "location": url},
        "body": json.dumps(body),
        "isBase64Encoded": False,
    }
