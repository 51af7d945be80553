"""Read `template.yaml`, and take out of it what an emulator can make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_STORAGE = ("AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::SQS::Queue", "AWS::SQS::QueuePolicy")
_STORAGE_OUTPUTS = ("Table", "Bucket", "Queues", "DeadLetters")


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref X` reads as `{"Ref": "X"}`."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    key = name if name in ("Ref", "Condition") else f"Fn::{name}"
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        return {key: value.split(".", 1) if name == "GetAtt" else value}
    if isinstance(node, yaml.SequenceNode):
        return {key: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.MappingNode)
    return {key: loader.construct_mapping(node, deep=True)}


_Loader.add_multi_constructor("!", _short_form)


def read_template(path: Path) -> dict[str, Any]:
    """Read a template; its short forms become the long ones."""
    template: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader
    return template


def storage_part(template: Mapping[str, Any]) -> dict[str, Any]:
    """Give a template of the table, the bucket and the queues alone, as they are in the whole one."""
    storage = {name: of for name, of in template["Resources"].items() if of["Type"] in _STORAGE}
    return {
        "AWSTemplateFormatVersion": template["AWSTemplateFormatVersion"],
        "Resources": storage,
        "Outputs": {name: template["Outputs"][name] for name in _STORAGE_OUTPUTS},
    }
