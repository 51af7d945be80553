"""A job dropped into a bucket, from the event to the results: function, worker and function."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from handlers import drop_folder, drop_results
from sync_core.backends.aws.clients import Clients
from sync_core.domain.batch import Priority
from tests.aws_emulators import ENVIRONMENT, emulator, make_resources
from tests.fakes.processes import started, wait_until

MEDIA = {"film.master.wav": "master.wav", "film.dub.de.wav": "late.wav", "film.dub.fr.wav": "early.wav"}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Set and give what says where a fresh back end is; moto's, for ministack reads no ranges of a named version."""
    running = emulator("moto")
    made = make_resources(running, max_receives=12)
    running.client("s3").put_bucket_versioning(Bucket=made.bucket, VersioningConfiguration={"Status": "Enabled"})
    urls = [{priority: of[priority] for priority in Priority} for of in (made.queue_urls, made.dead_letter_urls)]
    settings = {
        **ENVIRONMENT,
        "AWS_ENDPOINT_URL": running.endpoint_url,
        "SYNC_BACKEND": "aws",
        "SYNC_AWS_TABLE": made.table,
        "SYNC_AWS_BUCKET": made.bucket,
        "SYNC_AWS_QUEUES": json.dumps(urls[0]),
        "SYNC_AWS_DEAD_LETTERS": json.dumps(urls[1]),
        "SYNC_MEDIA_ROOTS": '["/mnt/data"]',
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


def with_s3(work: Callable[[Any, str], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        clients = Clients()
        try:
            return await work(await clients.s3(), os.environ["SYNC_AWS_BUCKET"])
        finally:
            await clients.close()

    return asyncio.run(run())


def put(key: str, content: bytes) -> dict[str, Any]:
    """Put an object; gives the record that S3 makes of it."""
    answer = with_s3(lambda s3, bucket: s3.put_object(Bucket=bucket, Key=key, Body=content))
    named = {"key": key, "versionId": answer["VersionId"], "eTag": answer["ETag"].strip('"')}
    bucket = {"name": os.environ["SYNC_AWS_BUCKET"]}
    return {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": bucket, "object": named}}


def results() -> dict[str, Any] | None:
    """Write what is due, and give the results once they are there."""

    async def read(s3: Any, bucket: str) -> dict[str, Any] | None:
        listed = await s3.list_objects_v2(Bucket=bucket, Prefix="results/film job/")
        keys = [entry["Key"] for entry in listed.get("Contents", ()) if entry["Key"].endswith(".json")]
        if not keys:
            return None
        answer = await s3.get_object(Bucket=bucket, Key=keys[0])
        document: dict[str, Any] = json.loads(await answer["Body"].read())
        return document

    drop_results.handler({}, None)
    return with_s3(read)


def test_a_job_in_the_bucket_is_taken_analysed_and_answered(
    environment: dict[str, str], recordings: Path, data_dir: Path
) -> None:
    records = [put(f"drop/film job/{name}", (recordings / source).read_bytes()) for name, source in MEDIA.items()]
    records.append(put("drop/film job/_READY", b""))
    time.sleep(1.1)  # S3 tells times in seconds
    put("drop/film job/film.dub.de.wav", b"overwritten after the job was ready")
    assert drop_folder.handler({"Records": records[::-1] * 2}, None) == {"batchItemFailures": []}
    with started("handlers.cli.main", "worker", log=data_dir / "worker.log", **environment):
        document = wait_until(results, within_seconds=100, every_seconds=0.5)
    assert document["status"] == "completed"
    found = {each["description"]: each["result"]["offset_seconds"] for each in document["results"]}
    assert found == {"film, de": pytest.approx(-0.5, abs=0.001), "film, fr": pytest.approx(0.25, abs=0.001)}
