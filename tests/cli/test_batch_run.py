"""`sync-analyzer batch run`: a CSV file of pairs, without a service."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.cli.conftest import Run
from tests.fakes.processes import all_gone, descendants, started, wait_until

PAIRS = """master_file,dub_file,methods,description,tags
master.wav,late.wav,"mfcc,onset",Late one,"daily,batch"
master.wav,missing.wav,,Gone,
master.wav,unrelated.wav,,Another film,x
"""


@pytest.fixture
def pairs(studio: Path) -> Path:
    path = studio / "pairs.csv"
    path.write_text(PAIRS)
    return path


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_results_document_is_complete_and_one_missing_file_fails_alone(run: Run, pairs: Path) -> None:
    ended = run("batch", "run", "pairs.csv", "--output", "results.json")

    assert ended.returncode == 1, ended.stderr
    assert "dub is 0.500 s late" in ended.stdout
    document = json.loads((pairs.parent / "results.json").read_text())
    late, missing, unrelated = document["results"]
    assert document["status"] == "completed"
    assert (document["summary"]["items_completed"], document["summary"]["items_failed"]) == (2, 1)
    assert late["result"]["offset_seconds"] == pytest.approx(-0.5, abs=0.001)
    assert (late["description"], late["tags"], late["methods"]) == ("Late one", ["daily", "batch"], ["mfcc", "onset"])
    assert (missing["status"], missing["error_code"], missing["result"]) == ("failed", "MEDIA_NOT_FOUND", None)
    assert "missing.wav" in missing["error"]
    assert (unrelated["status"], unrelated["result"]["verdict"]) == ("completed", "no_match")


def test_an_output_that_ends_in_csv_is_a_table(run: Run, pairs: Path) -> None:
    pairs.write_text("".join(PAIRS.splitlines(keepends=True)[:3]))
    assert run("batch", "run", "pairs.csv", "--output", "results.csv").returncode == 1
    with (pairs.parent / "results.csv").open(newline="") as file:
        late, missing = csv.DictReader(file)
    assert float(late["offset_seconds"]) == pytest.approx(-0.5, abs=0.001)
    assert (late["verdict"], late["description"], late["tags"]) == ("offset", "Late one", "daily,batch")
    assert (missing["status"], missing["error_code"]) == ("failed", "MEDIA_NOT_FOUND")
    assert (missing["offset_seconds"], missing["description"]) == ("", "Gone")


def test_when_nothing_fails_it_ends_with_0_and_leaves_nothing_but_the_output(run: Run, studio: Path) -> None:
    (studio / "good.csv").write_text("master_file;dub_file\nmaster.wav;early.wav\n")
    before = names_in(studio)
    assert run("batch", "run", "good.csv", "-o", "results.json", "--jobs", "1").returncode == 0
    assert names_in(studio) == before | {"results.json"}


def test_every_bad_row_is_named_with_line_and_column_and_nothing_is_written(run: Run, studio: Path) -> None:
    rows = ["master_file,dub_file,methods", "master.wav,late.wav,telepathy", "master.wav,late.wav,mfcc", "master.wav,,"]
    (studio / "bad.csv").write_text("\n".join(rows))
    before = names_in(studio)

    ended = run("batch", "run", "bad.csv", "--output", "results.json")

    assert ended.returncode == 2
    assert "line 2, methods: unknown method telepathy" in ended.stderr
    assert "line 4, dub_file: " in ended.stderr
    assert "line 3" not in ended.stderr
    assert names_in(studio) == before


@pytest.mark.parametrize("output", ["nowhere/results.json", "."])
def test_an_output_that_cannot_be_written_is_refused_before_any_work(run: Run, pairs: Path, output: str) -> None:
    ended = run("batch", "run", "pairs.csv", "--output", output)
    assert ended.returncode == 2
    assert "Cannot write" in ended.stderr
    assert "item_001" not in ended.stdout


@pytest.mark.parametrize(
    "interrupt",
    [lambda pid: os.killpg(pid, signal.SIGINT), lambda pid: os.kill(pid, signal.SIGTERM)],
    ids=["ctrl_c", "sigterm"],
)
def test_an_interruption_leaves_neither_half_an_output_nor_a_process(studio, tmp_path, interrupt) -> None:
    (studio / "many.csv").write_text("master_file,dub_file\n" + "master.wav,late.wav\n" * 500)
    (studio / "results.json").write_text("of an earlier run")
    before = names_in(studio)
    args = ("batch", "run", "many.csv", "--output", "results.json", "--jobs", "2")
    with started("handlers.cli.main", *args, cwd=studio, log=tmp_path / "log", TMPDIR=tmp_path) as process:
        children = wait_until(lambda: working_children(process))
        interrupt(process.pid)
        assert process.wait(timeout=20) == 130
        wait_until(lambda: all_gone(children))

    assert names_in(studio) == before
    assert (studio / "results.json").read_text() == "of an earlier run"
    assert names_in(tmp_path) == {"log"}, "the store of the run was left behind"
    said = (tmp_path / "log").read_text()
    assert "Interrupted" in said
    assert "Traceback" not in said


def working_children(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Give the child processes once some of them compute."""
    children = descendants(process.pid)
    return children if sum(child.cpu_times().user for child in children) > 0.5 else []
