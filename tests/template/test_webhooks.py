"""Webhooks in the cloud: driven by the stream, again by a schedule, with the least rights, and not silently lost."""

from __future__ import annotations

import json

import pytest

from handlers.metrics import WEBHOOKS
from sync_core.backends.aws.keys import EVENT_PREFIX, event_key, item_key, meta_key
from sync_core.backends.aws.resources import ITEMS_DUE
from sync_core.domain.batch import EventType
from sync_core.jobs.ports.event_outbox import DeliveryStatus
from sync_core.jobs.webhook_secrets import parse_secrets
from tests.template.resources import Stack, listed, text_of

BATCH = "batch_20250828_140600_a1b2c3d4"


def mapping(stack: Stack) -> dict:
    (found,) = [
        of
        for of in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if of["FunctionName"] == {"Ref": "WebhooksFunction"}
    ]
    return found


def statements(stack: Stack) -> list[dict]:
    return [statement for role, statement in stack.statements() if role == "WebhooksFunctionRole"]


def test_the_first_attempt_is_driven_by_the_tables_stream(stack: Stack):
    assert stack.one("AWS::DynamoDB::Table")["StreamSpecification"] == {"StreamViewType": "KEYS_ONLY"}
    assert mapping(stack)["EventSourceArn"] == {"Fn::GetAtt": ["Table", "StreamArn"]}


def test_new_events_and_nothing_else_wake_the_function(stack: Stack):
    (given,) = mapping(stack)["FilterCriteria"]["Filters"]
    pattern = json.loads(given["Pattern"])
    (prefix,) = pattern["dynamodb"]["Keys"]["sk"]["S"]
    assert pattern["eventName"] == ["INSERT"]
    assert prefix["prefix"] == EVENT_PREFIX
    assert all(event_key(BATCH, kind).sk.startswith(EVENT_PREFIX) for kind in EventType)
    assert not any(key.sk.startswith(EVENT_PREFIX) for key in (meta_key(BATCH), item_key(BATCH, 7)))


def test_a_batch_of_records_that_fails_holds_up_the_next_ones_for_a_while_only(stack: Stack):
    assert mapping(stack)["MaximumRetryAttempts"] <= 3
    assert mapping(stack)["MaximumRecordAgeInSeconds"] <= 600


def test_retries_come_every_minute(stack: Stack):
    assert stack.properties("WebhooksFunctionEveryMinute")["ScheduleExpression"] == "rate(1 minute)"


def test_an_attempt_fits_into_the_functions_time(stack: Stack):
    seconds = float(stack.function_environment("WebhooksFunction")["SYNC_WEBHOOK_TIMEOUT_SECONDS"])
    assert 15 <= seconds <= stack.properties("WebhooksFunction")["Timeout"] / 2


def test_it_may_read_and_change_rows_and_read_its_secret_and_nothing_else(stack: Stack):
    allowed = {action: text_of(of["Resource"]) for of in statements(stack) for action in listed(of["Action"])}
    assert set(allowed) == {
        "dynamodb:BatchGetItem",
        "dynamodb:Query",
        "dynamodb:UpdateItem",
        "secretsmanager:GetSecretValue",
    }
    assert allowed["secretsmanager:GetSecretValue"] == text_of({"Ref": "WebhookSecrets"})
    assert f"/index/{ITEMS_DUE}" in allowed["dynamodb:Query"]


def test_nobody_else_may_read_the_secret(stack: Stack):
    readers = {role for role, of in stack.statements() if "secretsmanager" in text_of(of["Action"])}
    assert readers == {"WebhooksFunctionRole"}


def test_the_secret_that_the_stack_makes_can_be_signed_with(stack: Stack):
    made = stack.properties("WebhookSecrets")["GenerateSecretString"]
    assert made == {"PasswordLength": 44, "ExcludePunctuation": True}
    assert parse_secrets("aZ09" * 11)


@pytest.mark.parametrize("outcome", ["given_up", "undeliverable"])
def test_what_is_not_delivered_raises_an_alarm(stack: Stack, outcome: str):
    metrics = stack.properties("WebhooksGivenUpAlarm")["Metrics"]
    watched = [entry["MetricStat"]["Metric"] for entry in metrics if "MetricStat" in entry]
    (metric,) = [of for of in watched if {"Name": "outcome", "Value": outcome} in of["Dimensions"]]
    assert DeliveryStatus(outcome)
    assert metric["MetricName"] == f"{WEBHOOKS.describe()[0].name}_total"
    assert {"Name": "process", "Value": "webhooks"} in metric["Dimensions"]


def test_a_stream_that_is_not_read_raises_an_alarm(stack: Stack):
    alarm = stack.properties("WebhooksLateAlarm")
    assert (alarm["MetricName"], alarm["Dimensions"][0]["Value"]) == ("IteratorAge", {"Ref": "WebhooksFunction"})
