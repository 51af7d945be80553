"""The drop folder in the deployment: what S3 tells, to whom, and what becomes of what fails."""

from __future__ import annotations

from sync_core.jobs.drop_names import trigger_of
from tests.template.resources import Stack, listed, text_of

DROP_ROLE, RESULTS_ROLE = "DropFunctionRole", "DropResultsFunctionRole"


def filters(stack: Stack) -> list[dict[str, str]]:
    told = stack.one("AWS::S3::Bucket")["NotificationConfiguration"]["QueueConfigurations"]
    assert all(entry["Queue"] == {"Fn::GetAtt": ["DropEvents", "Arn"]} for entry in told)
    assert {entry["Event"] for entry in told} == {"s3:ObjectCreated:*"}
    return [{rule["Name"]: rule["Value"] for rule in entry["Filter"]["S3Key"]["Rules"]} for entry in told]


def is_told(stack: Stack, key: str) -> bool:
    return any(key.startswith(rule["prefix"]) and key.endswith(rule["suffix"]) for rule in filters(stack))


def allowed(stack: Stack, role: str) -> dict[str, str]:
    """Each action that a role may do, with the resources in words."""
    return {
        action: text_of(statement["Resource"])
        for name, statement in stack.statements()
        if name == role
        for action in listed(statement["Action"])
    }


def test_s3_tells_of_what_starts_something_and_of_nothing_that_the_system_writes(stack: Stack):
    for key in ("drop/a.csv", "drop/films/a b.CSV", "drop/job/_READY", "drop/_READY"):
        assert trigger_of(key)
        assert is_told(stack, key)
    for key in (
        "drop/a.errors.json",
        "drop/a.json",
        "results/a/b.csv",
        "results/a/_READY",
        "reports/x.csv",
        "drop2/a.csv",
    ):
        assert not is_told(stack, key)


def test_no_two_filters_tell_of_one_object(stack: Stack):
    suffixes = [rule["suffix"] for rule in filters(stack)]
    assert not [(a, b) for a in suffixes for b in suffixes if a != b and a.endswith(b)], "S3 refuses such filters"


def test_the_queue_lets_s3_of_this_account_write_and_nobody_else(stack: Stack):
    policy = stack.properties("DropEventsPolicy")
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert policy["Queues"] == [{"Ref": "DropEvents"}]
    assert (statement["Principal"], statement["Action"]) == ({"Service": "s3.amazonaws.com"}, "sqs:SendMessage")
    assert statement["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert stack.resources["Bucket"]["DependsOn"] == "DropEventsPolicy"


def test_what_fails_comes_again_alone_and_ends_among_the_dead_letters(stack: Stack):
    (source,) = [
        of
        for of in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if "DropEvents" in text_of(of["EventSourceArn"])
    ]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue, dead = stack.properties("DropEvents"), stack.properties("DropDeadLetters")
    function = stack.properties("DropFunction")
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    assert queue["RedrivePolicy"]["deadLetterTargetArn"] == {"Fn::GetAtt": ["DropDeadLetters", "Arn"]}
    assert dead["MessageRetentionPeriod"] > queue["MessageRetentionPeriod"]
    assert queue["SqsManagedSseEnabled"] is dead["SqsManagedSseEnabled"] is True
    assert source["ScalingConfig"]["MaximumConcurrency"] <= function["ReservedConcurrentExecutions"]


def test_the_function_reads_what_was_dropped_and_writes_what_is_wrong_with_it(stack: Stack):
    may = allowed(stack, DROP_ROLE)
    assert "drop/*" in may["s3:GetObject"]
    assert "drop/*" in may["s3:GetObjectVersion"]
    writes = [
        text_of(statement["Resource"])
        for name, statement in stack.statements()
        if name == DROP_ROLE and {"s3:PutObject", "s3:DeleteObject"} & set(listed(statement["Action"]))
    ]
    assert len(writes) == 2
    assert all("drop/*.errors.json" in resource or "results/.pending/*" in resource for resource in writes)
    assert "sqs:ReceiveMessage" not in may
    assert "dynamodb:DeleteItem" not in may


def test_results_are_written_by_a_function_that_cannot_touch_what_was_dropped(stack: Stack):
    may = allowed(stack, RESULTS_ROLE)
    objects = {action: resource for action, resource in may.items() if action.startswith("s3:") and "Object" in action}
    assert set(objects) == {"s3:DeleteObject", "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject"}
    assert all("results/*" in resource and "drop" not in resource for resource in objects.values())
    assert not [action for action in may if action.startswith(("sqs:", "dynamodb:Put", "dynamodb:Update"))]
    schedules = [text_of(of["Target"]["Arn"]) for of in stack.of_type("AWS::Scheduler::Schedule").values()]
    assert [arn for arn in schedules if "DropResultsFunction" in arn]
    assert stack.properties("DropResultsFunction")["ReservedConcurrentExecutions"] == 1


def test_the_drop_folder_takes_more_than_api_gateway_lets_through(stack: Stack):
    api, drop = stack.function_environment("ApiFunction"), stack.function_environment("DropFunction")
    for name in ("SYNC_UPLOAD_MAX_BYTES", "SYNC_UPLOAD_MAX_ROWS"):
        assert int(drop[name]) > int(api[name])


def test_nobody_removes_what_was_dropped_or_written_for_the_customer(stack: Stack):
    rules = stack.one("AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert not [rule for rule in rules if "ExpirationInDays" in rule and rule["Prefix"] not in ("reports/", "answers/")]
