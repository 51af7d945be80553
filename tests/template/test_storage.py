"""Table, bucket and queues keep what they are given, as long as they must, and from everybody else."""

from __future__ import annotations

import pytest

from sync_core.backends.aws.resources import BATCHES_BY_TIME, ITEMS_DUE
from tests.aws_emulators import emulator, make_resources
from tests.template.resources import Stack

PRIORITIES = ("High", "Normal", "Low")


def test_table_forgets_by_itself_recovers_and_is_encrypted(stack: Stack):
    table = stack.one("AWS::DynamoDB::Table")
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
    assert table["SSESpecification"]["SSEEnabled"] is True
    assert table["BillingMode"] == "PAY_PER_REQUEST"


def test_table_has_the_keys_and_indexes_that_the_adapters_are_tested_with(stack: Stack):
    table = stack.one("AWS::DynamoDB::Table")
    running = emulator("moto")
    tested = running.client("dynamodb").describe_table(TableName=make_resources(running, max_receives=12).table)[
        "Table"
    ]
    assert table["KeySchema"] == tested["KeySchema"]
    assert sorted(map(str, table["AttributeDefinitions"])) == sorted(map(str, tested["AttributeDefinitions"]))
    assert {
        index["IndexName"]: (index["KeySchema"], index["Projection"]) for index in table["GlobalSecondaryIndexes"]
    } == {index["IndexName"]: (index["KeySchema"], index["Projection"]) for index in tested["GlobalSecondaryIndexes"]}
    assert {index["IndexName"] for index in table["GlobalSecondaryIndexes"]} == {BATCHES_BY_TIME, ITEMS_DUE}


def test_bucket_is_private_encrypted_and_versioned(stack: Stack):
    bucket = stack.one("AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    (statement,) = stack.one("AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})


def test_reports_live_as_long_as_their_batches_and_answers_for_a_day(stack: Stack):
    rules = {rule.get("Prefix"): rule for rule in stack.one("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]}
    retention = int(stack.worker_environment()["SYNC_RETENTION_DAYS"])
    assert rules["reports/"]["ExpirationInDays"] == retention
    assert rules["answers/"]["ExpirationInDays"] == 1


@pytest.mark.parametrize("priority", PRIORITIES)
def test_every_queue_has_dead_letters_that_are_kept_longer(stack: Stack, priority: str):
    queue, dead = stack.properties(f"{priority}Queue"), stack.properties(f"{priority}DeadLetters")
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": [f"{priority}DeadLetters", "Arn"]}
    assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert queue["SqsManagedSseEnabled"] is dead["SqsManagedSseEnabled"] is True


def test_there_is_no_queue_beside_those(stack: Stack):
    names = {f"{priority}{kind}" for priority in PRIORITIES for kind in ("Queue", "DeadLetters")}
    assert set(stack.of_type("AWS::SQS::Queue")) == {*names, "DropEvents", "DropDeadLetters"}


@pytest.mark.parametrize("priority", PRIORITIES)
def test_queues_agree_with_the_workers_times(stack: Stack, priority: str):
    queue, environment = stack.properties(f"{priority}Queue"), stack.worker_environment()
    lease, heartbeat = float(environment["SYNC_LEASE_SECONDS"]), float(environment["SYNC_HEARTBEAT_SECONDS"])
    assert queue["VisibilityTimeout"] >= lease >= 3 * heartbeat
    receives = queue["RedrivePolicy"]["maxReceiveCount"]
    assert receives == int(environment["SYNC_MAX_RECEIVES"]) >= 3 * int(environment["SYNC_MAX_ATTEMPTS"])
