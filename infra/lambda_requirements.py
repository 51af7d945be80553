"""Print what the zip of the Lambda functions installs: the API's share of constraints.txt."""  # noqa: INP001 - a script

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
NOT_ON_LAMBDA = {"rich", "typer", "uvicorn", "watchfiles"}  # the command line's, and the server on one machine


def wanted() -> Iterator[Requirement]:
    """Give what pyproject.toml asks for where the API runs on Lambda."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["aws"], *extras["lambda"]):
        requirement = Requirement(text)
        if requirement.name not in {"sync-analyzer", *NOT_ON_LAMBDA}:
            yield requirement


def closure(requirements: Iterable[Requirement]) -> set[str]:
    """Give the names of all that these need, by what is installed here."""
    found: set[str] = set()
    left = list(requirements)
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        needed = [need for need in map(Requirement, requires(name) or ()) if is_needed(need, requirement.extras)]
        left += [need for need in needed if canonicalize_name(need.name) not in found | {name}]
        found.add(name)
    return found


def is_needed(need: Requirement, extras: set[str]) -> bool:
    """Tell whether a requirement holds here, for a package that was asked for with these extras."""
    return not need.marker or any(need.marker.evaluate({"extra": extra}) for extra in extras or {""})


def pinned() -> dict[str, str]:
    """Give the line of each package in constraints.txt."""
    lines = re.findall(r"^[\w.-]+==.*$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(line.partition("==")[0]): line for line in lines}


def main() -> None:
    """Print the list."""
    lines = pinned()
    print("# What the Lambda functions install, made by infra/lambda_requirements.py out of constraints.txt.")
    for name in sorted(closure(wanted())):
        print(lines[name])


if __name__ == "__main__":
    main()
