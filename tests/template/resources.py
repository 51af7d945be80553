"""Ways to look at a transformed template."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Stack:
    """`source` as it is written; `resources` as CloudFormation makes them."""

    source: dict[str, Any]
    resources: dict[str, Any]

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        found = {name: of.get("Properties", {}) for name, of in self.resources.items() if of["Type"] == kind}
        assert found, f"there is no {kind}"
        return found

    def one(self, kind: str) -> dict[str, Any]:
        (found,) = self.of_type(kind).values()
        return found

    def properties(self, name: str) -> dict[str, Any]:
        return self.resources[name]["Properties"]

    def worker(self) -> dict[str, Any]:
        (container,) = self.one("AWS::ECS::TaskDefinition")["ContainerDefinitions"]
        return container

    def worker_environment(self) -> dict[str, Any]:
        return {entry["Name"]: entry["Value"] for entry in self.worker()["Environment"]}

    def function_environment(self, name: str) -> dict[str, Any]:
        return self.properties(name)["Environment"]["Variables"]

    def statements(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, role in self.of_type("AWS::IAM::Role").items():
            for policy in role.get("Policies", ()):
                for statement in policy["PolicyDocument"]["Statement"]:
                    yield name, statement["Fn::If"][1] if "Fn::If" in statement else statement


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
