"""The drop folder as Lambda runs it: messages of the queue in, and which of them must come again out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import drop_folder, drop_results
from sync_core.backends.aws.resources import AwsResources
from sync_core.domain.errors import ConfigurationError
from tests.aws_emulators import REGION, emulator, make_resources

PAIRS = "master_file,dub_file\nm.wav,/mnt/data/d.wav\n"
TEST_EVENT = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}


@dataclass
class Cloud:
    """A bucket that keeps versions, and what is in the table."""

    made: AwsResources

    def __post_init__(self) -> None:
        self.s3, self.sqs = emulator("ministack").client("s3"), emulator("ministack").client("sqs")

    def put(self, key: str, content: str = "") -> dict[str, Any]:
        """Put an object; gives the record that S3 makes of it."""
        put = self.s3.put_object(Bucket=self.made.bucket, Key=key, Body=content.encode())
        named = {"key": quote_plus(key, safe="/"), "versionId": put["VersionId"], "eTag": put["ETag"].strip('"')}
        bucket = {"name": self.made.bucket}
        return {"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": {"bucket": bucket, "object": named}}

    def keys(self, prefix: str) -> list[str]:
        answer = self.s3.list_objects_v2(Bucket=self.made.bucket, Prefix=prefix)
        return [entry["Key"] for entry in answer.get("Contents", ())]

    def read(self, key: str) -> dict[str, Any]:
        return json.loads(self.s3.get_object(Bucket=self.made.bucket, Key=key)["Body"].read())

    def batches(self) -> list[dict[str, Any]]:
        rows = emulator("ministack").client("dynamodb").scan(TableName=self.made.table)["Items"]
        return [row for row in rows if row["sk"]["S"] == "META"]

    def messages_sent(self) -> int:
        asked = ["ApproximateNumberOfMessages"]
        return sum(
            int(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=asked)["Attributes"][asked[0]])
            for url in self.made.queue_urls.values()
        )


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    running = emulator("ministack")
    made = make_resources(running, max_receives=12)
    urls = {priority: made.queue_urls[priority] for priority in ("high", "normal", "low")}  # type: ignore[index]
    running.client("s3").put_bucket_versioning(Bucket=made.bucket, VersioningConfiguration={"Status": "Enabled"})
    monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint_url)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("SYNC_AWS_TABLE", made.table)
    monkeypatch.setenv("SYNC_AWS_BUCKET", made.bucket)
    monkeypatch.setenv("SYNC_AWS_QUEUES", json.dumps(urls))
    monkeypatch.setenv("SYNC_AWS_DEAD_LETTERS", json.dumps(urls))
    monkeypatch.setenv("SYNC_MEDIA_ROOTS", '["/mnt/data"]')
    monkeypatch.setenv("SYNC_BACKEND", "aws")
    return Cloud(made)


def queue_event(*bodies: object) -> dict[str, Any]:
    """Make what Lambda hands over from a queue."""
    return {
        "Records": [
            {"messageId": f"message-{number}", "body": body if isinstance(body, str) else json.dumps(body)}
            for number, body in enumerate(bodies)
        ]
    }


def told(*records: dict[str, Any]) -> dict[str, Any]:
    return {"Records": list(records)}


def failures(answer: dict[str, Any]) -> list[str]:
    return [entry["itemIdentifier"] for entry in answer["batchItemFailures"]]


def test_a_dropped_csv_is_a_batch_in_work(cloud: Cloud) -> None:
    record = cloud.put("drop/films 2025/ü+50%.csv", PAIRS)
    assert failures(drop_folder.handler(queue_event(told(record)), None)) == []
    (batch,) = cloud.batches()
    assert (batch["status"]["S"], batch["total"]["N"]) == ("processing", "1")
    assert cloud.messages_sent() == 1


def test_test_events_and_doubled_records_and_several_in_one_message(cloud: Cloud) -> None:
    first, second = cloud.put("drop/a.csv", PAIRS), cloud.put("drop/b.csv", PAIRS)
    event = queue_event(TEST_EVENT, told(second, first, second), told(first), told(first))
    assert failures(drop_folder.handler(event, None)) == []
    assert len(cloud.batches()) == 2
    assert cloud.messages_sent() == 2


def test_a_bad_file_is_answered_beside_it_and_not_sent_again(cloud: Cloud) -> None:
    record = cloud.put("drop/films/bad.csv", "master_file,dub_file\n/etc/passwd,\n")
    assert failures(drop_folder.handler(queue_event(told(record)), None)) == []
    errors = cloud.read("drop/films/bad.errors.json")
    assert [(each["line"], each["column"]) for each in errors["details"]] == [(2, "master_file"), (2, "dub_file")]
    assert cloud.batches() == []


def test_own_output_must_not_trigger(cloud: Cloud) -> None:
    records = [cloud.put(key, PAIRS) for key in ("results/a/b.csv", "drop/a.errors.json", "drop/x/a.json", "drop/x/")]
    assert failures(drop_folder.handler(queue_event(told(*records)), None)) == []
    assert cloud.batches() == []


def test_only_messages_that_failed_come_again(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [cloud.put(f"drop/{name}.csv", PAIRS) for name in "abc"]
    take = drop_folder.TakeDrop.take

    async def denied(self: Any, key: str, version: str | None = None) -> Any:
        if key == "drop/b.csv":
            raise RuntimeError("a bug")
        return await take(self, key, version)

    with monkeypatch.context() as patch:
        patch.setattr(drop_folder.TakeDrop, "take", denied)
        event = queue_event(told(records[0], records[1]), told(records[2]), "no event")
        assert failures(drop_folder.handler(event, None)) == ["message-0", "message-2"]
        assert len(cloud.batches()) == 2, "a record beside a bad one is taken"
    assert failures(drop_folder.handler(queue_event(told(records[0], records[1])), None)) == []
    assert len(cloud.batches()) == 3


def test_an_event_may_be_handed_over_by_hand(cloud: Cloud) -> None:
    assert drop_folder.handler(told(cloud.put("drop/a.csv", PAIRS)), None) == {"batchItemFailures": []}
    assert drop_folder.handler(TEST_EVENT, None) == {"batchItemFailures": []}
    assert len(cloud.batches()) == 1


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_permutations_and_duplications_of_events_make_one_batch_of_each_version(
    cloud: Cloud, data: st.DataObject
) -> None:
    before = len(cloud.batches())
    for name in ("a.master.mov", "a.dub.de.wav", "a.dub.fr.wav"):
        cloud.put(f"drop/job {before}/{name}", name)
    records = [
        cloud.put(f"drop/job {before}/_READY"),
        cloud.put(f"drop/{before}.csv", PAIRS),
        cloud.put(f"drop/{before}.csv", PAIRS + "m.wav,/mnt/data/e.wav\n"),
        cloud.put(f"drop/job {before}/a.dub.de.wav", "told of as well"),
    ]
    order = data.draw(st.permutations(records * 2))
    cuts: Sequence[int] = sorted(data.draw(st.lists(st.integers(0, len(order)), max_size=4)))
    for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True):
        event = queue_event(*(told(record) for record in order[start:end]))
        assert failures(drop_folder.handler(event, None)) == []
    assert len(cloud.batches()) == before + 3
    assert all(batch["status"]["S"] == "processing" for batch in cloud.batches())


def test_results_are_written_once_a_batch_has_ended(cloud: Cloud) -> None:
    drop_folder.handler(queue_event(told(cloud.put("drop/films/pairs.csv", PAIRS))), None)
    assert drop_results.handler({}, None) == {"written": 0}
    (batch,) = cloud.batches()
    batch_id = batch["batch_id"]["S"]
    emulator("ministack").client("dynamodb").update_item(
        TableName=cloud.made.table,
        Key={"pk": batch["pk"], "sk": batch["sk"]},
        UpdateExpression="SET #s = :s, in_flight = :zero, ended_at = started_at",
        ExpressionAttributeNames={"#s": "status"},
        ExpressionAttributeValues={":s": {"S": "cancelled"}, ":zero": {"N": "0"}},
    )
    assert drop_results.handler({}, None) == {"written": 1}
    assert cloud.keys("results/") == [f"results/films/pairs/{batch_id}.csv", f"results/films/pairs/{batch_id}.json"]
    assert cloud.read(f"results/films/pairs/{batch_id}.json")["status"] == "cancelled"
    assert drop_results.handler({}, None) == {"written": 0}


def test_settings_that_cannot_be_used_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_BACKEND", "aws")
    monkeypatch.delenv("SYNC_AWS_TABLE", raising=False)
    with pytest.raises(ConfigurationError, match="SYNC_AWS_TABLE"):
        drop_folder.handler(TEST_EVENT, None)
