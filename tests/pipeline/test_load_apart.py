"""A long file is decoded by a process of its own: the same samples and errors, and nothing left when one side ends."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile as sf

from sync_core.domain.errors import DecoderCrashed, MediaCorrupt, NoAudio, StorageUnavailable
from sync_core.pipeline import load_apart as module
from sync_core.pipeline import load_pair
from sync_core.pipeline.load_apart import load_apart
from sync_core.pipeline.load_track import Loaded, LoadOrder, Stopped, load_track
from sync_core.pipeline.sources import find_source
from tests.media.writing import RATE_HZ, bursts
from tests.pipeline.pairs import PROGRAMME, UNRESTRICTED, compare, late, write_wav

NEVER: Callable[[], bool] = lambda: False  # noqa: E731


def ignore(fraction: float) -> None:
    pass


def order(file: str, spool: Path, **more: object) -> LoadOrder:
    return LoadOrder(find_source(file, UNRESTRICTED), spool, **more)


@pytest.fixture
def master(tmp_path: Path) -> str:
    return write_wav(tmp_path / "master.wav", PROGRAMME)


@pytest.fixture(scope="module")
def long_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file that takes a while to decode."""
    return write_wav(tmp_path_factory.mktemp("long") / "long.wav", np.tile(bursts(60.0), 60))


@pytest.fixture
def at_work(long_file: str, tmp_path: Path) -> Iterator[tuple[Future[Loaded], psutil.Process, threading.Event]]:
    """A decoding that has begun, its process, and what ends it."""
    stop, begun = threading.Event(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(load_apart, order(long_file, tmp_path / "s"), stop.is_set, lambda _: begun.set())
        assert begun.wait(30.0)
        (process,) = decoders()
        yield future, process, stop
        stop.set()
    assert decoders() == []


def decoders() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "sync_core.pipeline.decoder" in child.cmdline()
    ]


@pytest.mark.parametrize("per_channel", [False, True])
def test_it_gives_what_decoding_here_gives(tmp_path: Path, per_channel: bool) -> None:
    stereo = np.stack([PROGRAMME, 0.5 * late(0.25)[: PROGRAMME.size]], axis=1)
    stereo[100] = np.nan
    file = str(tmp_path / "stereo.wav")
    sf.write(file, stereo, RATE_HZ, subtype="FLOAT")
    told: list[float] = []
    here = load_track(order(file, tmp_path / "here", per_channel=per_channel), NEVER, ignore)
    apart = load_apart(order(file, tmp_path / "apart", per_channel=per_channel), NEVER, told.append)
    assert (apart.info, apart.silent) == (here.info, here.silent)
    assert [name for name, _ in apart.channels] == [name for name, _ in here.channels]
    for one, other in zip(
        [apart.mix, *(track for _, track in apart.channels)],
        [here.mix, *(track for _, track in here.channels)],
        strict=True,
    ):
        np.testing.assert_array_equal(one.samples, other.samples)
        np.testing.assert_array_equal(one.log_mel, other.log_mel)
        assert (one.start_seconds, one.non_finite_count) == (other.start_seconds, other.non_finite_count)
    assert told == sorted(told)
    assert told[0] < told[-1] == 1.0


def test_errors_keep_their_class_and_text(master: str, tmp_path: Path) -> None:
    with pytest.raises(NoAudio, match=r"master\.wav#ch:7 has no channel 7"):
        load_apart(order(f"{master}#ch:7", tmp_path / "s"), NEVER, ignore)
    bad = tmp_path / "bad.mov"
    bad.write_bytes(b"\0\0\0\x14ftypqt  ")
    with pytest.raises(MediaCorrupt, match=r"bad\.mov is damaged"):
        load_apart(order(str(bad), tmp_path / "s"), NEVER, ignore)
    with pytest.raises(FileNotFoundError) as error:
        load_apart(order(master, tmp_path / "no folder" / "s"), NEVER, ignore)
    assert error.value.errno == errno.ENOENT


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_its_death_is_told(
    at_work: tuple[Future[Loaded], psutil.Process, threading.Event], number: signal.Signals
) -> None:
    future, process, _ = at_work
    os.kill(process.pid, number)
    with pytest.raises(
        DecoderCrashed, match=rf"long\.wav could not be decoded: .* was killed by {number.name}"
    ) as crash:
        future.result(30.0)
    assert crash.value.retryable


def test_a_stuck_one_is_ended(
    at_work: tuple[Future[Loaded], psutil.Process, threading.Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    future, process, _ = at_work
    monkeypatch.setattr(module, "STALL_SECONDS", 0.5)
    process.suspend()
    with pytest.raises(DecoderCrashed, match=r"long\.wav .* no sign of progress for 0\.5 s"):
        future.result(30.0)


def test_it_ends_when_nobody_waits_any_more(
    at_work: tuple[Future[Loaded], psutil.Process, threading.Event],
) -> None:
    future, process, stop = at_work
    stop.set()
    with pytest.raises(Stopped):
        future.result(30.0)
    assert not process.is_running()


@pytest.fixture
def all_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_pair, "APART_SECONDS", 1.0)


@pytest.mark.usefixtures("all_are_long")
def test_a_pair_is_compared_as_ever(master: str, tmp_path: Path) -> None:
    dub = write_wav(tmp_path / "dub.wav", late(1.25))
    spool = tmp_path / "spool"
    spool.mkdir()
    result = compare(master, dub, spool_folder=spool, per_channel=True)
    assert result.offset_seconds == pytest.approx(-1.25, abs=1e-3)
    assert list(spool.iterdir()) == []
    bad = tmp_path / "bad.wav"
    bad.write_bytes(Path(master).read_bytes()[:60])
    with pytest.raises(MediaCorrupt, match=r"bad\.wav"):
        compare(str(bad), dub, spool_folder=spool)
    assert (decoders(), list(spool.iterdir())) == ([], [])


@pytest.mark.usefixtures("all_are_long")
def test_no_room_for_the_decoded_audio_is_said(master: str, tmp_path: Path) -> None:
    dub = write_wav(tmp_path / "dub.wav", late(1.25))
    with pytest.raises(StorageUnavailable, match="absent"):
        compare(master, dub, spool_folder=tmp_path / "absent")


@pytest.mark.usefixtures("all_are_long")
def test_raising_from_progress_ends_it(long_file: str, master: str) -> None:
    class Enough(Exception):
        pass

    def stop(progress: object) -> None:
        if decoders():
            raise Enough

    begun = time.monotonic()
    with pytest.raises(Enough):
        compare(master, long_file, on_progress=stop)
    assert decoders() == []
    assert time.monotonic() - begun < 30.0
