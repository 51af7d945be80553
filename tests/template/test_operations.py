"""Scaling, schedules, logs and alarms."""

from __future__ import annotations

import json
import re

import pytest

from handlers.metrics import REGISTRY
from tests.infra.images import ROOT, stages
from tests.template.resources import Stack

WORKER = ROOT / "infra" / "worker.Dockerfile"
QUEUES = {"HighQueue", "NormalQueue", "LowQueue"}


def queues_of(metrics: list[dict]) -> dict[str, set[str]]:
    """Which queues each metric of SQS is asked of."""
    asked: dict[str, set[str]] = {}
    for entry in metrics:
        metric = entry.get("MetricStat", {}).get("Metric", {})
        if metric.get("Namespace") == "AWS/SQS":
            (dimension,) = metric["Dimensions"]
            asked.setdefault(metric["MetricName"], set()).add(dimension["Value"]["Fn::GetAtt"][0])
    return asked


def unfilled(metrics: list[dict], expression: str) -> set[str]:
    names = {entry["Id"] for entry in metrics if "MetricStat" in entry}
    return {name for name in names if f"FILL({name}, 0)" not in expression}


def test_workers_go_from_none_to_most_and_back(stack: Stack):
    target = stack.one("AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, {"Ref": "MaxWorkers"})
    assert stack.one("AWS::AutoScaling::AutoScalingGroup")["MinSize"] == "0"
    assert "DesiredCount" not in stack.one("AWS::ECS::Service"), "an update of the stack must not undo the scaling"


def test_backlog_counts_waiting_and_in_flight_and_fills_what_is_missing(stack: Stack):
    tracking = stack.properties("BacklogPolicy")["TargetTrackingScalingPolicyConfiguration"]
    metrics = tracking["CustomizedMetricSpecification"]["Metrics"]
    (returned,) = [entry for entry in metrics if entry["ReturnData"]]
    assert unfilled(metrics, returned["Expression"]) == set()
    assert queues_of(metrics) == {
        "ApproximateNumberOfMessagesVisible": QUEUES,
        "ApproximateNumberOfMessagesNotVisible": QUEUES,
    }
    assert tracking["ScaleInCooldown"] > tracking["ScaleOutCooldown"]


def test_a_worker_is_kept_for_no_fewer_messages_than_it_does_at_once(stack: Stack):
    assert stack.source["Parameters"]["BacklogPerWorker"]["Default"] >= int(stack.worker_environment()["SYNC_SLOTS"])


def test_the_first_worker_has_an_alarm_of_its_own(stack: Stack):
    alarm = stack.properties("WorkWithoutWorker")
    assert alarm["AlarmActions"] == [{"Ref": "FirstWorkerPolicy"}]
    (returned,) = [entry for entry in alarm["Metrics"] if entry["ReturnData"]]
    assert unfilled(alarm["Metrics"], returned["Expression"]) == set()
    assert queues_of(alarm["Metrics"]) == {"ApproximateNumberOfMessagesVisible": QUEUES}
    step = stack.properties("FirstWorkerPolicy")["StepScalingPolicyConfiguration"]
    assert (step["AdjustmentType"], step["StepAdjustments"][0]["ScalingAdjustment"]) == ("ChangeInCapacity", 1)


def test_instances_with_work_are_neither_taken_nor_lost_without_a_word(stack: Stack):
    provider = stack.one("AWS::ECS::CapacityProvider")["AutoScalingGroupProvider"]
    assert provider["ManagedTerminationProtection"] == provider["ManagedDraining"] == "ENABLED"
    group = stack.one("AWS::AutoScaling::AutoScalingGroup")
    assert group["NewInstancesProtectedFromScaleIn"] is True
    user_data = stack.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]["UserData"]["Fn::Base64"]["Fn::Sub"]
    assert "ECS_ENABLE_SPOT_INSTANCE_DRAINING=true" in user_data


def test_a_worker_has_time_to_release_its_items_within_spots_notice(stack: Stack):
    assert float(stack.worker_environment()["SYNC_GRACE_SECONDS"]) < stack.worker()["StopTimeout"] < 120


def test_the_worker_is_started_and_watched_as_its_image_wants_it(stack: Stack):
    of, image = stack.worker(), stages(WORKER)["worker-with-models"]
    assert (of["Command"], "EntryPoint" in of) == (image.command, False)
    assert of["User"] == image.user.partition(":")[0]
    assert of["HealthCheck"]["Command"] == ["CMD", *image.health], "ECS does not look at the image's own"
    assert stack.worker_environment()["SYNC_SPOOL_DIR"] in image.volumes


def test_the_sweeper_comes_every_minute_and_never_twice_at_once(stack: Stack):
    schedule = stack.properties("SweeperFunctionEveryMinute")
    assert schedule["ScheduleExpression"] == "rate(1 minute)"
    function = stack.properties("SweeperFunction")
    assert function["ReservedConcurrentExecutions"] == 1
    assert function["Timeout"] < 60


def test_the_api_answers_before_api_gateway_gives_up(stack: Stack):
    environment = stack.function_environment("ApiFunction")
    assert float(environment["SYNC_WAIT_MAX_SECONDS"]) < stack.properties("ApiFunction")["Timeout"] < 30


def test_everything_logs_into_groups_that_forget(stack: Stack):
    groups = stack.of_type("AWS::Logs::LogGroup")
    assert all(group["RetentionInDays"] == {"Ref": "LogRetentionDays"} for group in groups.values())
    for function in stack.of_type("AWS::Lambda::Function").values():
        assert function["LoggingConfig"]["LogGroup"]["Ref"] in groups
    assert stack.worker()["LogConfiguration"]["Options"]["awslogs-group"]["Ref"] in groups


@pytest.mark.parametrize(
    "name",
    [
        "DeadLettersAlarm",
        "DeadLettersEndedAlarm",
        "OldestMessageAlarm",
        "ErrorRateAlarm",
        "NoWorkerAlarm",
        "DropDeadLettersAlarm",
        "DropResultsAlarm",
        "SweeperAlarm",
        "WebhooksAlarm",
        "WebhooksGivenUpAlarm",
        "WebhooksLateAlarm",
    ],
)
def test_alarms_are_told_and_silence_is_no_alarm(stack: Stack, name: str):
    alarm = stack.properties(name)
    assert alarm["AlarmActions"] == [{"Ref": "Alarms"}]
    assert alarm["TreatMissingData"] == "notBreaching"


def test_every_alarm_is_among_those(stack: Stack):
    assert len(stack.of_type("AWS::CloudWatch::Alarm")) == 12


def test_dashboard_is_json_and_names_resources_that_are_there(stack: Stack):
    body = stack.one("AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Sub"]
    assert len(json.loads(body)["widgets"]) >= 4
    named = {name.partition(".")[0] for name in re.findall(r"\$\{([\w.]+)\}", body)} - {"AWS"}
    assert named <= set(stack.resources) | {"AWS::Region"}


def test_the_alarm_on_ended_dead_letters_watches_a_metric_that_is_written(stack: Stack):
    metrics = stack.properties("DeadLettersEndedAlarm")["Metrics"]
    watched = {entry["MetricStat"]["Metric"]["MetricName"] for entry in metrics if "MetricStat" in entry}
    assert watched <= {sample.name for metric in REGISTRY.collect() for sample in metric.samples}
    for environment in (stack.function_environment("SweeperFunction"), stack.worker_environment()):
        assert environment["SYNC_METRICS_FORMAT"] == "emf"
