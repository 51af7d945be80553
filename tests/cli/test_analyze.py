"""`sync-analyzer analyze`: one pair, the verdict in words or as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from handlers.cli import analyze
from sync_core.domain.result import AnalysisResult
from sync_core.pipeline import load_apart
from sync_core.pipeline.decoder_process import DecoderProcess
from sync_core.pipeline.load_track import Loaded
from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("dub", "words"),
    [
        ("late.wav", ["dub is 0.500 s late", "Shift the dub by -0.500 s"]),
        ("early.wav", ["dub is 0.250 s early", "Shift the dub by +0.250 s"]),
        ("master.wav", ["in sync"]),
        ("unrelated.wav", ["no match"]),
    ],
)
def test_the_verdict_says_the_sign_in_words(run: Run, dub: str, words: list[str]) -> None:
    ended = run("analyze", "master.wav", dub)
    assert ended.returncode == 0, ended.stderr
    assert [word for word in words if word not in ended.stdout] == []


def test_json_has_every_documented_field_and_nothing_else_on_standard_output(run_process: Run) -> None:
    ended = run_process("analyze", "master.wav", "late.wav", "--json")
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert set(result) == {field.name for field in fields(AnalysisResult)}
    assert result["offset_seconds"] == pytest.approx(-0.5, abs=0.001)
    assert result["verdict"] == "offset"
    assert [method["method"] for method in result["methods"]] == ["mfcc", "onset", "spectral"]
    assert result["media"]["dub"]["duration_seconds"] == pytest.approx(8.0)


def test_only_the_methods_asked_for_are_run(run: Run) -> None:
    result = json.loads(run("analyze", "master.wav", "late.wav", "--methods", "onset", "--json").stdout)
    assert [method["method"] for method in result["methods"]] == ["onset"]


def test_the_tolerance_decides_what_is_in_sync(run: Run) -> None:
    args = ("analyze", "master.wav", "late.wav", "--json", "--tolerance")
    assert json.loads(run(*args, "0.6").stdout)["verdict"] == "in_sync"
    assert json.loads(run(*args, "0.4").stdout)["verdict"] == "offset"


@pytest.mark.parametrize(
    ("dub", "reason"), [("missing.wav", "missing.wav"), ("notes.txt", "notes.txt"), ("short.wav", "short.wav")]
)
@pytest.mark.parametrize("output", [[], ["--json"]], ids=["text", "json"])
def test_a_file_that_cannot_be_compared_ends_with_1_and_one_sentence(run: Run, dub, reason, output) -> None:
    ended = run("analyze", "master.wav", dub, *output)
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_large_dub_is_decoded_by_a_process_that_was_started_ahead(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[object] = []
    load = load_apart.load_apart

    def noted(*args: object) -> Loaded:
        given.append(args[-1])
        return load(*args)

    monkeypatch.setattr(load_apart, "load_apart", noted)
    monkeypatch.setattr(analyze, "_LARGE_BYTES", 1)
    ended = run("analyze", "master.wav", "late.wav")
    assert "dub is 0.500 s late" in ended.stdout
    assert [type(decoder) for decoder in given] == [DecoderProcess]


def test_a_pair_of_files_waits_for_no_library_that_it_does_not_use(recordings: Path) -> None:
    unused = {"asyncio", "numpy.ma", "pydantic", "scipy", "socket", "sync_core.models.device", "torch"}
    program = (
        "import sys; from handlers.cli.main import app; "
        "app(['analyze', 'master.wav', 'late.wav'], standalone_mode=False); "
        f"print({unused} & set(sys.modules))"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=recordings, capture_output=True, text=True, check=True)
    assert "dub is 0.500 s late" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "set()"
