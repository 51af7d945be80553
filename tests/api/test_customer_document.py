"""The customer's document, run as it stands: only the port is another one."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sync_core.domain.batch import Batch, BatchStatus, Counters, ItemRequest, Priority
from sync_core.domain.methods import AiModel, Method
from tests.api.live import LiveService

DOCUMENT = (Path(__file__).parents[2] / "docs" / "batch-api-examples.md").read_text()
SHA256 = "29ed677e3207dad6bd73db0851ba267429941fd4799666102410f1425163988e"
BATCH_ID = "batch_20250828_140600_a1b2c3d4"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
WORKFLOW = DOCUMENT[DOCUMENT.index("## Complete Workflow Example") : DOCUMENT.index("## Python Script Examples")]
WORKFLOW_SCRIPT = "\n".join(re.findall(r"^```bash\n(.*?)^```$", WORKFLOW, re.MULTILINE | re.DOTALL))
CLIENT = next(text for language, text in BLOCKS if language == "python")
USAGE = next(text for language, text in BLOCKS if "python batch_processor.py" in text and language == "bash")
SAMPLE_CSV, DUNKIRK_CSV = (text for language, text in BLOCKS if language == "csv")
CURL_EXAMPLES = [text for language, text in BLOCKS if language == "bash" and text.startswith("curl ")]


def with_port(text: str, port: int) -> str:
    """The text with another port; nothing else may differ."""
    changed = text.replace("localhost:8000", f"localhost:{port}")
    assert changed.replace(f"localhost:{port}", "localhost:8000") == text
    assert "localhost:8000" in text
    return changed


def bash(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_PROXY": "localhost"}
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False
    )


def saved_results(folder: Path) -> dict:
    (path,) = folder.glob("batch_results_*.json")
    results = json.loads(path.read_text())
    assert path.name == f"batch_results_{results['batch_id']}.json"
    return results


def assert_all_completed(results: dict) -> None:
    assert results["status"] == "completed"
    assert results["summary"]["items_completed"] == 3
    assert results["summary"]["average_confidence"] == pytest.approx(0.981)
    assert [item["item_id"] for item in results["results"]] == ["item_001", "item_002", "item_003"]
    assert {item["result"]["offset_seconds"] for item in results["results"]} == {-15.023}


def test_the_copy_is_the_customers_document_to_the_byte():
    assert hashlib.sha256(DOCUMENT.encode()).hexdigest() == SHA256


def test_python_client_runs_to_the_end(service: LiveService, tmp_path):
    (tmp_path / "batch_processor.py").write_text(with_port(CLIENT, service.port))
    (tmp_path / "dunkirk_batch.csv").write_text(DUNKIRK_CSV)
    done = bash(USAGE, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Batch processing finished with status: completed" in done.stdout
    assert "Average Confidence: 0.981" in done.stdout
    assert_all_completed(saved_results(tmp_path))


def test_shell_workflow_runs_to_the_end(service: LiveService, tmp_path):
    done = bash(with_port(WORKFLOW_SCRIPT, service.port), tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "dunkirk_batch.csv").read_text() == DUNKIRK_CSV
    assert_all_completed(saved_results(tmp_path))


def sample_batch() -> tuple[Batch, list[ItemRequest]]:
    requests = [
        ItemRequest("/mnt/data/audio/master1.wav", "/mnt/data/audio/dub1.wav", (Method.AI,), AiModel.WAV2VEC2)
    ] * 3
    return Batch(
        BATCH_ID, BatchStatus.UPLOADED, Counters(3), 2, Priority.NORMAL, datetime(2025, 8, 28, 14, 6, tzinfo=UTC)
    ), requests


def test_the_document_has_its_curl_examples():
    assert len(CURL_EXAMPLES) == 11


@pytest.mark.parametrize("example", CURL_EXAMPLES)
def test_curl_example_works(example, tmp_path):
    (tmp_path / "sample_batch.csv").write_text(SAMPLE_CSV)
    with LiveService(tmp_path / "data", worker=False) as live:
        live.run(live.backend.batch_store.create(*sample_batch()))
        done = bash(with_port(example, live.port), tmp_path)
    assert done.returncode == 0, done.stderr
    if "-o batch_results.csv" in example:
        assert (tmp_path / "batch_results.csv").read_text().startswith("item_id,")
    else:
        assert json.loads(done.stdout)["success"] is True, done.stdout
