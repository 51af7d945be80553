"""The Analyzer port on child processes: crashes, hangs, cancellation, and the parent's own death."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from sync_core.domain.errors import DecoderCrashed, MediaNotFound, MethodUnavailable, PathNotAllowed, TransientError
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import Method
from sync_core.domain.result import Progress, Verdict
from sync_core.pipeline.analyzer import ProcessAnalyzer
from sync_core.pipeline.child_process import AnalyzerBug
from sync_core.pipeline.spool import Spool
from tests.media.writing import RATE_HZ, bursts
from tests.pipeline.pairs import PROGRAMME, UNRESTRICTED, ignore, late, request, write_wav

MakeAnalyzer = Callable[..., ProcessAnalyzer]


@pytest_asyncio.fixture
async def make(tmp_path: Path) -> AsyncIterator[MakeAnalyzer]:
    made: list[ProcessAnalyzer] = []

    def make_one(**settings: object) -> ProcessAnalyzer:
        defaults = {"policy": UNRESTRICTED, "slots": 1, "spool_folder": tmp_path / "spool"}
        made.append(ProcessAnalyzer(**{**defaults, **settings}))
        return made[-1]

    yield make_one
    for analyzer in made:
        await analyzer.close()
        assert not [pid for pid in analyzer.child_pids if psutil.pid_exists(pid)]
    assert not list((tmp_path / "spool").glob("*"))


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    return write_wav(tmp_path / "master.wav", PROGRAMME), write_wav(tmp_path / "dub.wav", late(1.0))


@pytest.fixture(scope="session")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file that takes some seconds to analyse."""
    return write_wav(tmp_path_factory.mktemp("long") / "long.wav", bursts(300.0, rate_hz=16_000), 16_000)


async def started(analyzer: ProcessAnalyzer, file: str) -> tuple[asyncio.Task, list[Progress]]:
    """Begin a long analysis and wait until it tells progress."""
    told: list[Progress] = []
    begun = asyncio.Event()

    def tell(progress: Progress) -> None:
        told.append(progress)
        begun.set()

    task = asyncio.create_task(analyzer.analyze(request(file, file), tell))
    watched = asyncio.create_task(begun.wait())
    await asyncio.wait({task, watched}, return_when=asyncio.FIRST_COMPLETED)
    watched.cancel()
    return task, told


async def test_children_are_used_again_and_replaced_in_time(make: MakeAnalyzer, pair: tuple[str, str]) -> None:
    analyzer = make(tasks_per_child=2)
    await analyzer.warm_up()
    pids = []
    for _ in range(3):
        pids += analyzer.child_pids
        result = await analyzer.analyze(request(*pair), ignore)
        assert result.offset_seconds == pytest.approx(-1.0, abs=1e-3)
    assert pids[0] == pids[1] != pids[2]


async def test_errors_keep_their_class_and_the_child(make: MakeAnalyzer, pair: tuple[str, str], tmp_path: Path) -> None:
    analyzer = make(policy=MediaPolicy(roots=(str(tmp_path),)))
    await analyzer.warm_up()
    before = analyzer.child_pids
    with pytest.raises(MediaNotFound, match=r"absent\.wav"):
        await analyzer.analyze(request(pair[0], str(tmp_path / "absent.wav")), ignore)
    with pytest.raises(PathNotAllowed):
        await analyzer.analyze(request(pair[0], "/etc/hostname"), ignore)
    with pytest.raises(MethodUnavailable):
        await analyzer.analyze(request(*pair, (Method.AI,)), ignore)
    assert analyzer.child_pids == before


async def test_a_bug_comes_with_its_traceback(make: MakeAnalyzer, caplog: pytest.LogCaptureFixture) -> None:
    analyzer = make()
    with pytest.raises(AnalyzerBug, match=r"(?s)Traceback .*in parse_media_ref"):
        await analyzer.analyze(request(None, None), ignore)
    assert "unforeseen" in caplog.text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
async def test_a_crash_is_transient_and_the_next_pair_works(
    make: MakeAnalyzer, pair: tuple[str, str], long_file: str, number: signal.Signals, tmp_path: Path
) -> None:
    analyzer = make()
    task, _ = await started(analyzer, long_file)
    (pid,) = analyzer.child_pids
    os.kill(pid, number)
    with pytest.raises(
        DecoderCrashed, match=rf"long\.wav with .*long\.wav failed.*was killed by {number.name}"
    ) as crash:
        await task
    assert crash.value.retryable
    assert not psutil.pid_exists(pid)
    assert not list((tmp_path / "spool").glob("*/*/*"))
    assert (await analyzer.analyze(request(*pair), ignore)).verdict is Verdict.OFFSET


async def test_an_idle_child_that_died_is_not_used(make: MakeAnalyzer, pair: tuple[str, str]) -> None:
    analyzer = make()
    await analyzer.warm_up()
    (pid,) = analyzer.child_pids
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(0.2)
    assert (await analyzer.analyze(request(*pair), ignore)).verdict is Verdict.OFFSET


async def test_a_hang_is_ended(make: MakeAnalyzer, pair: tuple[str, str], long_file: str) -> None:
    analyzer = make(stall_seconds=5.0)
    task, _ = await started(analyzer, long_file)
    (pid,) = analyzer.child_pids
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(DecoderCrashed, match=r"long\.wav .* no sign of progress for 5 s"):
        await task
    assert time.monotonic() - begun < 30.0
    assert not psutil.pid_exists(pid)
    assert (await make().analyze(request(*pair), ignore)).verdict is Verdict.OFFSET


async def test_cancelling_ends_the_child(make: MakeAnalyzer, long_file: str, tmp_path: Path) -> None:
    analyzer = make()
    task, _ = await started(analyzer, long_file)
    (pid,) = analyzer.child_pids
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(pid)
    assert not list((tmp_path / "spool").glob("*/*/*"))


async def test_an_error_in_the_progress_callback_ends_the_child(make: MakeAnalyzer, long_file: str) -> None:
    class Enough(Exception):
        pass

    def stop(progress: Progress) -> None:
        raise Enough

    analyzer = make()
    await analyzer.warm_up()
    (pid,) = analyzer.child_pids
    with pytest.raises(Enough):
        await analyzer.analyze(request(long_file, long_file), stop)
    assert not psutil.pid_exists(pid)


async def test_progress_comes_and_the_loop_stays_free(make: MakeAnalyzer, long_file: str) -> None:
    analyzer = make()
    task, told = await started(analyzer, long_file)
    longest, last = 0.0, time.monotonic()
    while not task.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert longest < 1.0
    assert [one.fraction for one in told] == sorted(one.fraction for one in told)
    assert (await task).offset_seconds == 0.0


async def test_no_more_children_than_slots(make: MakeAnalyzer, pair: tuple[str, str]) -> None:
    analyzer = make(slots=2)
    most = 0

    def look(progress: Progress) -> None:
        nonlocal most
        most = max(most, len(analyzer.child_pids))

    results = await asyncio.gather(*(analyzer.analyze(request(*pair), look) for _ in range(6)))
    assert [one.verdict for one in results] == [Verdict.OFFSET] * 6
    assert most == 2


async def test_memory_stays_flat_over_fifty_pairs(make: MakeAnalyzer, tmp_path: Path) -> None:
    analyzer = make()
    master, dub = (write_wav(tmp_path / name, PROGRAMME[: 3 * RATE_HZ]) for name in ("m.wav", "d.wav"))
    sizes = []
    for _ in range(50):
        await analyzer.analyze(request(master, dub), ignore)
        sizes.append(psutil.Process(analyzer.child_pids[0]).memory_info().rss)
    assert max(sizes[25:]) < max(sizes[5:15]) + 20e6


async def test_closing_ends_what_runs(make: MakeAnalyzer, long_file: str) -> None:
    analyzer = make()
    task, _ = await started(analyzer, long_file)
    pids = analyzer.child_pids
    await analyzer.close()
    with pytest.raises(DecoderCrashed):
        await task
    assert not [pid for pid in pids if psutil.pid_exists(pid)]


async def test_closing_leaves_no_child_to_those_who_wait(make: MakeAnalyzer, long_file: str) -> None:
    analyzer = make()
    tasks = [asyncio.create_task(analyzer.analyze(request(long_file, long_file), ignore)) for _ in range(4)]
    await asyncio.sleep(0.3)
    pids = analyzer.child_pids
    await analyzer.close()
    ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(end, TransientError) for end in ends] == [True] * 4
    assert not [pid for pid in (*pids, *analyzer.child_pids) if psutil.pid_exists(pid)]


@pytest.mark.parametrize("moment", ["idle", "starting", "busy"])
def test_children_die_with_a_killed_parent(long_file: str, tmp_path: Path, moment: str) -> None:
    script = f"""
import asyncio
from pathlib import Path
from sync_core.pipeline.analyzer import ProcessAnalyzer
from tests.pipeline.pairs import UNRESTRICTED, request

async def main():
    analyzer = ProcessAnalyzer(policy=UNRESTRICTED, slots=1, spool_folder=Path({str(tmp_path)!r}))
    await analyzer.warm_up()
    tell = lambda *_: print(*analyzer.child_pids, flush=True)
    if {moment!r} == "starting":
        tell()
    elif {moment!r} == "idle":
        await asyncio.sleep(1.5)
        tell()
    else:
        await analyzer.analyze(request({long_file!r}, {long_file!r}), tell)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        pid = int(parent.stdout.readline())
        child = psutil.Process(pid)
        parent.kill()
    psutil.wait_procs([child], timeout=5.0)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    Spool(tmp_path).remove()
    assert not list(tmp_path.glob("sync-analyzer-*")), "the next start removes what the killed one left"


def test_a_living_neighbours_spool_is_left_alone(tmp_path: Path) -> None:
    mine, neighbours = Spool(tmp_path), Spool(tmp_path)
    folder = mine.make_folder()
    Spool(tmp_path).remove()
    assert folder.is_dir()
    mine.remove()
    neighbours.remove()
    mine.remove()
    assert not list(tmp_path.iterdir())


async def test_capabilities_say_which_models_are_missing_and_why(make: MakeAnalyzer) -> None:
    can = make().capabilities
    assert can.methods == (Method.MFCC, Method.ONSET, Method.SPECTRAL, Method.AI)
    assert can.ai_models == ("spectral",)
    assert set(can.unavailable) == {"ai:wav2vec2", "ai:yamnet"}
    assert all(can.unavailable.values())
