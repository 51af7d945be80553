from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from handlers.cli import main as command_line
from tests.fakes.audio import early, late, programme, write_wav
from tests.fakes.processes import environment


@dataclass(frozen=True)
class Ended:
    """What a command left: its exit code, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Ended]


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with a master, dubs of it, and what cannot be compared with it."""
    folder, master = tmp_path_factory.mktemp("recordings"), programme(8.0, seed=1)
    write_wav(folder / "master.wav", master)
    write_wav(folder / "late.wav", late(master, 0.5))
    write_wav(folder / "early.wav", early(master, 0.25))
    write_wav(folder / "unrelated.wav", programme(8.0, seed=2))
    write_wav(folder / "short.wav", master[:100])
    (folder / "notes.txt").write_text("No audio at all.")
    return folder


@pytest.fixture
def studio(recordings: Path, data_dir: Path) -> Path:
    """Give a working directory of its own with the recordings in it."""
    folder = data_dir / "studio"
    shutil.copytree(recordings, folder)
    return folder


@pytest.fixture
def run(studio: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Run the command line in the studio, in this process: without the start of an interpreter for each command."""

    def run_command(*args: str, **settings: object) -> Ended:
        with monkeypatch.context() as patch:
            patch.chdir(studio)
            patch.setattr(sys, "argv", ["sync-analyzer", *args])
            for name, value in environment(SYNC_DATA_DIR=data_dir / "store", **settings).items():
                patch.setenv(name, value)
            capfd.readouterr()
            with pytest.raises(SystemExit) as end:
                command_line.main()
        printed = capfd.readouterr()
        return Ended(int(end.value.code or 0), printed.out, printed.err)

    return run_command


@pytest.fixture
def run_process(studio: Path, data_dir: Path) -> Run:
    """Run the command line in a process of its own, as a customer does."""

    def run_command(*args: str, **settings: object) -> Ended:
        ended = subprocess.run(
            [sys.executable, "-m", "handlers.cli.main", *args],
            cwd=studio,
            env=environment(**{"SYNC_DATA_DIR": data_dir / "store", **settings}),
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run_command
