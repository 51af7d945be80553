"""Help, usage errors, and the sentences and exit codes of what cannot work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.fakes.processes import environment

NOBODY_LISTENS = "http://127.0.0.1:1"


def test_the_command_is_installed_under_its_name() -> None:
    command = Path(sys.executable).with_name("sync-analyzer")
    assert subprocess.run([command, "--version"], capture_output=True, text=True).stdout.strip() == "1.0.0"


def test_help_names_every_command(run: Run) -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for command in ("analyze", "batch", "serve", "worker", "demo", "health"):
        assert command in shown.stdout


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["analyze"], ["master", "dub", "--methods", "--json"]),
        (["batch"], ["run", "submit", "status", "watch", "results", "cancel"]),
        (["batch", "run"], ["pairs", "--output"]),
        (["batch", "submit"], ["--api", "--priority", "--parallel-jobs"]),
        (["serve"], ["--host", "--port", "--workers"]),
    ],
)
def test_help_of_a_command_explains_its_options(run: Run, command: list[str], words: list[str]) -> None:
    shown = run(*command, "--help")
    assert shown.returncode == 0
    assert [word for word in words if word not in shown.stdout.lower()] == []


@pytest.mark.parametrize("module", ["handlers.worker", "handlers.sweeper"])
def test_help_of_a_process_starts_nothing(module: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", module, "--help"]
    told = environment(SYNC_DATA_DIR=tmp_path / "data")
    shown = subprocess.run(command, env=told, capture_output=True, text=True, timeout=60)
    assert (shown.returncode, shown.stdout.split()[0]) == (0, "usage:")
    assert list(tmp_path.iterdir()) == []


def test_a_process_with_settings_that_it_cannot_use_says_which() -> None:
    command = [sys.executable, "-m", "handlers.worker", "--slots", "99"]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    assert (ended.returncode, "SYNC_SLOTS" in ended.stderr, "Traceback" in ended.stderr) == (1, True, False)


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (["nonsense"], "nonsense"),
        (["analyze"], "master"),
        (["analyze", "master.wav", "late.wav", "--methods", "telepathy"], "telepathy"),
        (["analyze", "master.wav", "late.wav", "--ai-model", "oracle"], "oracle"),
        (["batch", "run", "pairs.csv"], "pairs.csv"),
        (["serve", "--port", "99999"], "--port"),
    ],
)
def test_wrong_usage_ends_with_2_and_names_what_is_wrong(run: Run, args: list[str], reason: str) -> None:
    ended = run(*args)
    assert ended.returncode == 2
    assert reason in ended.stderr.lower()
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["status", "batch_20250828_140600_a1b2c3d4"],
        ["watch", "batch_20250828_140600_a1b2c3d4"],
        ["results", "batch_20250828_140600_a1b2c3d4"],
        ["cancel", "batch_20250828_140600_a1b2c3d4"],
        ["submit", "notes.txt"],
    ],
)
def test_a_service_that_is_not_there_ends_with_3_and_how_to_start_one(run: Run, args: list[str]) -> None:
    ended = run("batch", *args, SYNC_API_URL=NOBODY_LISTENS)
    assert ended.returncode == 3
    assert NOBODY_LISTENS in ended.stderr
    assert "sync-analyzer serve" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "settings", "reason"),
    [
        (["worker"], {"SYNC_SLOTS": "many"}, "SYNC_SLOTS"),
        (["worker"], {"SYNC_MAX_RECEIVES": "1"}, "SYNC_MAX_RECEIVES must be at least three times SYNC_MAX_ATTEMPTS"),
        (["worker"], {"SYNC_DATA_DIR": "/proc/nowhere"}, "set SYNC_DATA_DIR"),
        (["serve", "--port", "0", "--workers", "1"], {"SYNC_LEASE_SECONDS": "-1"}, "SYNC_LEASE_SECONDS"),
        (["serve", "--port", "0"], {"SYNC_DATA_DIR": "/proc/nowhere"}, "set SYNC_DATA_DIR"),
    ],
)
def test_settings_that_cannot_be_used_end_with_2_and_the_variable_to_set(
    run_process: Run, command: list[str], settings: dict[str, str], reason: str
) -> None:
    ended = run_process(*command, **settings)
    assert ended.returncode == 2
    assert reason in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_machine_with_very_many_processors_needs_no_option(studio: Path) -> None:
    (studio / "bad.csv").write_text("master_file\n")
    script = (
        "import os, sys; os.cpu_count = lambda: 256; sys.argv[1:] = ['batch', 'run', 'bad.csv', '-o', 'out.json'];"
        "from handlers.cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=studio, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert "must name the columns" in ended.stderr
