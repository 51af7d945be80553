"""The API starts small: a fresh interpreter that imports it has loaded nothing heavy."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "librosa", "torch", "transformers", "av"}
PROGRAM = "import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"


@pytest.mark.parametrize(
    "module",
    [
        "handlers.api.main",
        "handlers.drop_folder",
        "handlers.drop_results",
        "sync_core.backends.embedded.open",
        "handlers.cli.main",
    ],
)
def test_fresh_interpreter_loads_nothing_heavy(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(module=module)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded = set(json.loads(done.stdout))
    assert module in loaded
    assert {name.partition(".")[0] for name in loaded} & HEAVY == set()
    assert list(tmp_path.iterdir()) == [], "importing has written files"
