"""A dropped file is given out once it has stopped growing, and never before."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.backends.embedded.dropped_files import DroppedFiles
from sync_core.backends.embedded.open_files import is_being_written

SETTLE = 1.0
NOW = 1_700_000_000.0


class Bench:
    """A drop folder under a clock of its own; `written` says what the system tells of writers."""

    def __init__(self, root: Path) -> None:
        self.root, self.time = root, 0.0
        self.written: bool | None = False
        self.files = DroppedFiles(
            root,
            SETTLE,
            monotonic=lambda: self.time,
            wall=lambda: NOW + self.time,
            is_written=lambda _path: self.written,
        )

    def write(self, name: str, content: str = "x", *, age: float = 0.0) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (NOW + self.time - age,) * 2)
        self.files.note(path)
        return path

    def settled(self, *, after: float = 0.0) -> list[str]:
        self.time += after
        return [key for key, _ in self.files.settled()]

    def take(self) -> None:
        for key, version in self.files.settled():
            self.files.done(key, version)


@pytest.fixture
def bench(data_dir: Path) -> Bench:
    return Bench(data_dir)


def test_a_file_is_left_alone_until_it_has_stayed_as_it_is(bench: Bench) -> None:
    bench.write("a.csv")
    assert bench.settled() == []
    assert bench.settled(after=0.9) == []
    assert bench.settled(after=0.1) == ["drop/a.csv"]


def test_a_file_that_grows_is_not_given_out(bench: Bench) -> None:
    for size in range(1, 20):
        bench.write("a.csv", "x" * size)
        assert bench.settled(after=0.8) == []
    assert bench.settled(after=1.0) == ["drop/a.csv"]


def test_a_file_that_is_open_for_writing_waits_however_long_nothing_is_written(bench: Bench) -> None:
    bench.write("a.csv")
    bench.written = True
    assert bench.settled() == []
    assert bench.settled(after=1000) == []
    bench.written = False
    assert bench.settled() == ["drop/a.csv"]


def test_where_the_system_cannot_tell_who_writes_it_takes_longer(bench: Bench) -> None:
    bench.write("a.csv", age=1000)
    bench.written = None
    assert bench.settled() == []
    assert bench.settled(after=4.9) == []
    assert bench.settled(after=0.1) == ["drop/a.csv"]


def test_an_atomic_rename_of_a_complete_file_is_taken_at_once(bench: Bench) -> None:
    bench.write("a.csv", age=SETTLE)
    assert bench.settled() == ["drop/a.csv"]


def test_a_time_of_change_in_the_future_only_means_waiting(bench: Bench) -> None:
    bench.write("a.csv", age=-3600)
    assert bench.settled() == []
    assert bench.settled(after=1.0) == ["drop/a.csv"]


def test_settings_beside_it_must_have_settled_too(bench: Bench) -> None:
    bench.write("a.csv")
    bench.settled(after=0.8)
    bench.write("a.json", "{")
    assert bench.settled(after=0.5) == []
    assert bench.settled(after=0.6) == ["drop/a.csv"]


def test_all_media_of_a_job_must_have_settled(bench: Bench) -> None:
    bench.write("job/a.master.wav", age=100)
    bench.write("job/_READY", "", age=100)
    bench.write("job/a.dub.de.wav")
    bench.write("other/_READY", "", age=100)
    assert bench.settled() == ["drop/other/_READY"]
    bench.write("job/a.dub.de.wav", "grown")
    assert "drop/job/_READY" not in bench.settled(after=0.9)
    assert "drop/job/_READY" in bench.settled(after=0.2)


def test_what_was_taken_is_given_out_again_only_when_it_has_changed(bench: Bench) -> None:
    path = bench.write("a.csv", age=5)
    bench.take()
    for _ in range(3):
        bench.files.note(path)
        bench.files.scan()
    assert not bench.files.has_waiting
    bench.write("a.csv", "new")
    assert bench.settled(after=1.0) == ["drop/a.csv"]


def test_a_change_while_it_is_taken_is_not_lost(bench: Bench) -> None:
    bench.write("a.csv", age=5)
    ((key, version),) = bench.files.settled()
    bench.write("a.csv", "changed while it was being read", age=4)
    bench.files.done(key, version)
    assert bench.settled() == ["drop/a.csv"]


def test_what_failed_is_given_out_again_after_growing_pauses(bench: Bench) -> None:
    bench.write("a.csv", age=5)
    pauses = []
    for _ in range(8):
        assert bench.settled() == ["drop/a.csv"]
        bench.files.again("drop/a.csv")
        began = bench.time
        while not bench.settled():
            bench.time += 0.5
        pauses.append(bench.time - began)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


def test_what_only_waits_for_others_is_given_out_again_soon(bench: Bench) -> None:
    bench.write("a.csv", age=5)
    for _ in range(5):
        assert bench.settled() == ["drop/a.csv"]
        bench.files.again("drop/a.csv", 1.0)
        assert bench.settled(after=0.9) == []
        bench.time += 0.1


def test_what_has_gone_is_forgotten(bench: Bench) -> None:
    path = bench.write("a.csv", age=5)
    path.unlink()
    assert bench.settled() == []
    assert not bench.files.has_waiting


def test_a_scan_finds_what_arrived_while_nobody_looked(bench: Bench) -> None:
    (bench.root / "deep" / "er").mkdir(parents=True)
    for name in ("a.csv", "deep/er/b.CSV", "deep/_READY", "deep/x.wav", ".hidden.csv", "deep/.part/c.csv", "e.csv.tmp"):
        path = bench.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
        os.utime(path, (NOW - 60,) * 2)
    os.utime(bench.root / "deep" / "x.wav", (NOW - 60,) * 2)
    bench.files.scan()
    assert sorted(bench.settled()) == ["drop/a.csv", "drop/deep/_READY", "drop/deep/er/b.CSV"]


def test_links_folders_and_pipes_are_no_files(bench: Bench) -> None:
    (bench.root / "link.csv").symlink_to("/etc/passwd")
    (bench.root / "folder.csv").mkdir()
    os.mkfifo(bench.root / "pipe.csv")
    bench.files.scan()
    assert not bench.files.has_waiting


def test_what_lies_elsewhere_is_not_noted(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    bench.files.note(tmp_path / "a.csv")
    assert not bench.files.has_waiting


@given(st.lists(st.sampled_from([0.0, 0.3, 0.99, 1.5]), max_size=12))
def test_between_the_last_write_and_the_reading_there_is_always_the_settled_time(
    tmp_path_factory: pytest.TempPathFactory, pauses: list[float]
) -> None:
    bench = Bench(tmp_path_factory.mktemp("drop"))
    for number, pause in enumerate(pauses):
        bench.write("a.csv", "x" * (number + 1))
        assert bench.settled() == []
        assert bool(bench.settled(after=pause)) is (pause >= SETTLE)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who writes")
def test_the_system_tells_whether_a_file_is_open_for_writing(data_dir: Path) -> None:
    path = data_dir / "a.csv"
    with path.open("w") as file:
        file.write("half")
        file.flush()
        assert is_being_written(path) is True
    assert is_being_written(path) is False
    with path.open("r+"):
        assert is_being_written(path) is True
    with path.open("rb"):
        assert is_being_written(path) is False
    assert is_being_written(data_dir / "missing.csv") is None
