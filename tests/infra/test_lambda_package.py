"""The zip of the Lambda functions holds what the API imports, and little else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

INFRA = Path(__file__).parents[2] / "infra"
KEPT_SERVICES = {"dynamodb", "s3", "secretsmanager", "sqs"}
PROGRAM = """
import json, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

missing = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Missing())
import handlers.api.lambda_entry, handlers.drop_folder, handlers.drop_results, handlers.sweeper, handlers.webhooks
import sync_core.backends.aws.open
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@pytest.fixture(scope="module")
def listed() -> set[str]:
    lines = (INFRA / "lambda-requirements.txt").read_text().splitlines()[1:]
    return {canonicalize_name(line.partition("==")[0]) for line in lines}


def test_the_list_is_what_the_constraints_give():
    made = subprocess.run(
        [sys.executable, INFRA / "lambda_requirements.py"], capture_output=True, text=True, check=True
    )
    stored = (INFRA / "lambda-requirements.txt").read_text()
    assert made.stdout == stored, "run: python infra/lambda_requirements.py > infra/lambda-requirements.txt"


def test_the_functions_start_with_what_is_listed_and_nothing_else(listed: set[str], tmp_path):
    of_module = {
        module: {canonicalize_name(name) for name in names} for module, names in packages_distributions().items()
    }
    there = listed | {"sync-analyzer"}
    missing = [module for module, names in of_module.items() if not names & there]
    command = [sys.executable, "-c", PROGRAM, json.dumps(missing)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {name for module in json.loads(done.stdout) for name in of_module.get(module, ())}
    assert {"aiobotocore", "fastapi", "mangum"} <= imported
    assert "numpy" in missing


def test_it_stays_under_60_mb(listed: set[str]):
    assert sum(size_of(name) for name in listed) < 60e6


def size_of(name: str) -> int:
    files = [file for file in distribution(name).files or () if "__pycache__" not in file.parts and is_kept(file.parts)]
    return sum(Path(file.locate()).stat().st_size for file in files if Path(file.locate()).is_file())


def is_kept(parts: tuple[str, ...]) -> bool:
    """Whether infra/build-lambda.sh leaves a file where it is."""
    return parts[:2] != ("botocore", "data") or len(parts) == 3 or parts[2] in KEPT_SERVICES


def test_the_build_keeps_the_services_that_the_adapters_speak_to():
    script = (INFRA / "build-lambda.sh").read_text()
    assert set(re.findall(r"! -name (\w+)", script)) == KEPT_SERVICES
