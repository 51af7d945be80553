"""Make the resources out of a deployment's template, on an emulator that has CloudFormation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from aiobotocore.session import AioSession, get_session

_POLL_SECONDS = 0.05
_LONGEST_SECONDS = 60.0

Template = Mapping[str, Any]


async def make_stack(name: str, template: Template, *, endpoint_url: str, region: str) -> Mapping[str, str]:
    """Create a stack, and give its outputs by name once it is complete.

    Raises
    ------
    TimeoutError
        If it is not complete within a minute.
    RuntimeError
        If the emulator cannot make it.
    """
    session, where = get_session(), {"endpoint_url": endpoint_url, "region_name": region}
    create: Any = session.create_client  # typed by a literal for each service
    async with create("cloudformation", **where) as cloudformation:
        await cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
        async with asyncio.timeout(_LONGEST_SECONDS):
            stack = await _completed(cloudformation, name)
        made = (await cloudformation.describe_stack_resources(StackName=name))["StackResources"]
    ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in made}
    await _set_redrive_policies(session, where, template, ids)
    return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}


async def _completed(cloudformation: Any, name: str) -> Mapping[str, Any]:  # noqa: ANN401 - a client without types
    while True:
        stack: Mapping[str, Any] = (await cloudformation.describe_stacks(StackName=name))["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            return stack
        if not stack["StackStatus"].endswith("CREATE_IN_PROGRESS"):
            raise RuntimeError(f"The stack {name} is {stack['StackStatus']}: {stack.get('StackStatusReason')}")
        await asyncio.sleep(_POLL_SECONDS)


async def _set_redrive_policies(
    session: AioSession, where: Mapping[str, str], template: Template, ids: Mapping[str, str]
) -> None:
    """Set what ministack's CloudFormation leaves out of queues, as the template has it."""
    create: Any = session.create_client
    async with create("sqs", **where) as sqs:
        for name, resource in template["Resources"].items():
            policy = resource.get("Properties", {}).get("RedrivePolicy")
            if policy:
                dead_url = ids[policy["deadLetterTargetArn"]["Fn::GetAtt"][0]]
                asked = await sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])
                redrive = {**policy, "deadLetterTargetArn": asked["Attributes"]["QueueArn"]}
                await sqs.set_queue_attributes(QueueUrl=ids[name], Attributes={"RedrivePolicy": json.dumps(redrive)})
