"""The deployment as CloudFormation gets it: template.yaml through AWS's own transform, in this process."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from handlers.cli.stack_template import read_template
from tests.template.resources import Stack

TEMPLATE = Path(__file__).parents[2] / "template.yaml"


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


@pytest.fixture(scope="session")
def stack() -> Stack:
    from samtranslator.translator.transform import transform

    template = read_template(TEMPLATE)
    packaged = copy.deepcopy(template)
    packaged["Globals"]["Function"]["CodeUri"] = "s3://code/zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        return Stack(template, transform(packaged, {}, _NoManagedPolicies())["Resources"])
