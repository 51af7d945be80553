"""Each process may do what it does, to the stack's own resources, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from tests.template.resources import Stack, listed, text_of

ADAPTERS = Path(__file__).parents[2] / "sync_core" / "backends" / "aws"


def test_no_statement_allows_a_wildcard_action_or_every_resource(stack: Stack):
    statements = list(stack.statements())
    assert len(statements) >= 12
    for role, statement in statements:
        actions, resources = listed(statement["Action"]), listed(statement["Resource"])
        assert not [action for action in actions if "*" in action], (role, actions)
        assert "*" not in resources, (role, actions)


def test_every_action_is_one_action(stack: Stack):
    """A wrong indentation in YAML makes one text of two lines, which IAM takes and which allows nothing."""
    actions = [action for _, statement in stack.statements() for action in listed(statement["Action"])]
    assert [action for action in actions if not re.fullmatch(r"[a-z0-9-]+:[A-Za-z]+", action)] == []


def test_workers_may_send_every_request_that_the_adapters_make_of_the_table(stack: Stack):
    allowed = {action for role, of in stack.statements() if role == "WorkerRole" for action in listed(of["Action"])}
    sources = "".join(path.read_text() for path in ADAPTERS.glob("*.py"))
    sent = set(re.findall(r'"((?:get|put|update|delete)_item|query)"|\.(describe_table|batch_get_item)\b', sources))
    names = {"".join(word.title() for word in (quoted or called).split("_")) for quoted, called in sent}
    assert names >= {"BatchGetItem", "DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"}
    assert {f"dynamodb:{name}" for name in names} <= allowed


def test_statements_name_resources_of_this_stack(stack: Stack):
    for role, statement in stack.statements():
        for resource in listed(statement["Resource"]):
            named = [name for name in (*stack.resources, "MediaBuckets") if name in text_of(resource)]
            assert named, (role, resource)


def test_every_function_has_a_role_of_its_own(stack: Stack):
    roles = [text_of(function["Role"]) for function in stack.of_type("AWS::Lambda::Function").values()]
    assert len(roles) == len(set(roles)) >= 2


def test_only_the_sweeper_and_workers_end_dead_letters(stack: Stack):
    deleting = {
        role
        for role, statement in stack.statements()
        if "sqs:DeleteMessage" in listed(statement["Action"]) and "DeadLetters" in text_of(statement["Resource"])
    }
    assert deleting == {"SweeperFunctionRole", "WorkerRole"}


def test_the_api_asks_who_calls(stack: Stack):
    body = stack.one("AWS::ApiGatewayV2::Api")["Body"]
    operations = [operation for path in body["paths"].values() for operation in path.values()]
    assert operations
    assert all(operation["security"] for operation in operations)


def test_workers_read_media_of_the_drop_folder_and_of_the_buckets_that_are_named(stack: Stack):
    reads = [
        text_of(of["Resource"])
        for role, of in stack.statements()
        if role == "WorkerRole" and "s3:GetObjectVersion" in listed(of["Action"])
    ]
    assert len(reads) == 2
    assert "/drop/*" in reads[0]
    assert "MediaBuckets" in reads[1]


def test_workers_cannot_be_reached_and_cannot_write_their_image(stack: Stack):
    assert "SecurityGroupIngress" not in stack.one("AWS::EC2::SecurityGroup")
    worker = stack.worker()
    assert worker["ReadonlyRootFilesystem"] is True
    assert int(worker["User"]) > 0
    assert "Privileged" not in worker
    data = stack.one("AWS::EC2::LaunchTemplate")["LaunchTemplateData"]
    assert data["MetadataOptions"]["HttpTokens"] == "required"
    assert [mapping["Ebs"]["Encrypted"] for mapping in data["BlockDeviceMappings"]] == [True]
