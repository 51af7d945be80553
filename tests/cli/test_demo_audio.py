"""The demonstration's truth is true, and it does without network, apt or both."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from handlers.cli.demo_audio import packages
from handlers.cli.demo_audio.packages import PackagesUnavailable, cache_folder, fetch_packages
from handlers.cli.demo_audio.pairs import DemoPair, DemoSet, make_demo_pairs
from handlers.cli.demo_audio.programme import build_programme
from handlers.cli.demo_audio.recordings import Recordings
from handlers.cli.demo_audio.timing import RATE_HZ, cut
from sync_core.domain.errors import MediaUnsupported
from sync_core.domain.result import Verdict
from sync_core.media.small_files import read_stereo


def lag_seconds(master: np.ndarray, dub: np.ndarray) -> float:
    """Offset of the dub by phase correlation, to a hundredth of a sample: independent of the product's own analysis."""
    size = 1 << (len(master) + len(dub)).bit_length()
    spectrum = np.fft.rfft(master[:, 0], size) * np.conj(np.fft.rfft(dub[:, 0], size))
    spectrum /= np.abs(spectrum) + 1e-6 * np.abs(spectrum).max()
    correlation = np.fft.irfft(spectrum, size)
    peak = int(correlation.argmax())
    fine, near = np.linspace(-1, 1, 201), np.arange(-200, 201)
    best = peak + fine[(np.sinc(fine[:, None] - near) @ correlation[(peak + near) % size]).argmax()]
    return float(best if best < size / 2 else best - size) / RATE_HZ


def put_tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for stand-ins of the package manager, found before the real one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    put_tool(folder, "dpkg-deb", 'echo "$2" > "$3/content"')
    return folder


@pytest.fixture(scope="module")
def synthesised(tmp_path_factory: pytest.TempPathFactory) -> DemoSet:
    """The demonstration as made on a machine without apt."""
    with pytest.MonkeyPatch.context() as patch:
        empty = tmp_path_factory.mktemp("empty")
        patch.setenv("PATH", str(empty))
        patch.setenv("XDG_CACHE_HOME", str(empty / "cache"))
        return make_demo_pairs(tmp_path_factory.mktemp("pairs"), on_progress=lambda _: None)


def pair_of(demo: DemoSet, name: str) -> DemoPair:
    return next(pair for pair in demo.pairs if pair.master.name.startswith(name))


def test_says_why_it_is_synthesised(synthesised: DemoSet) -> None:
    assert synthesised.source == "Synthesised, not recorded, because apt-get is not on this machine."


def test_shows_each_kind_of_answer(synthesised: DemoSet) -> None:
    verdicts = [pair.truth.verdict for pair in synthesised.pairs]
    assert set(verdicts) == {Verdict.OFFSET, Verdict.IN_SYNC, Verdict.DRIFT, Verdict.NO_MATCH}
    assert any(pair.dub.suffix == ".mov" for pair in synthesised.pairs)


@pytest.mark.parametrize("name", ["late", "early", "in_sync", "movie"])
def test_constant_offsets_are_in_the_files(synthesised: DemoSet, name: str) -> None:
    pair = pair_of(synthesised, name)
    master, dub = (read_stereo(path, rate_hz=RATE_HZ) for path in (pair.master, pair.dub))
    assert lag_seconds(master, dub) == pytest.approx(pair.truth.offset_seconds, abs=2e-6)


def test_drift_moves_the_dub_between_its_ends(synthesised: DemoSet) -> None:
    pair = pair_of(synthesised, "drifting")
    master, dub = (read_stereo(path, rate_hz=RATE_HZ) for path in (pair.master, pair.dub))
    second, found = RATE_HZ, []
    for start in (10, 75):
        lag = lag_seconds(
            master[(start - 1) * second : (start + 2) * second], dub[start * second : (start + 1) * second]
        )
        found.append(lag - 1)
    middles = np.array([10.5, 75.5])
    assert pair.truth.offset_seconds is not None
    assert pair.truth.drift_ppm is not None
    assert found == pytest.approx(pair.truth.offset_seconds + pair.truth.drift_ppm * 1e-6 * middles, abs=2e-4)


def test_two_halves_share_no_clip() -> None:
    clips = [np.full((RATE_HZ, 2), value, np.float32) for value in (0.1, -0.1, 0.1, -0.1)]
    recordings = Recordings(lines=[(clip, clip) for clip in clips], music=clips, effects=clips, source="two signs")
    one, other = (build_programme(recordings, seconds=10, seed=1, half=half) for half in (0, 1))
    assert one.master.min() >= 0.0
    assert other.dub.max() <= 0.0


def test_cut_plays_a_tone_at_the_asked_speed_from_the_asked_time() -> None:
    ratio, start = Fraction(6251, 6250), 0.7654321
    tone_hz = 480.0  # whole periods in the 3 s below, so the Fourier series has no seam
    times = np.arange(3 * RATE_HZ) / RATE_HZ
    world = np.repeat(np.sin(2 * np.pi * tone_hz * times)[:, None], 2, axis=1).astype(np.float32)
    played = cut(world, start_seconds=start, seconds=1.0, speed_ratio=ratio)
    expected = np.sin(2 * np.pi * tone_hz * (start + float(ratio) * np.arange(RATE_HZ) / RATE_HZ))
    assert np.abs(played[:, 0] - expected).max() < 2e-3


def test_cut_refuses_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="not all there"):
        cut(np.zeros((RATE_HZ, 2), np.float32), start_seconds=0.5, seconds=1.0)


def test_reading_what_is_not_audio_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    with pytest.raises(MediaUnsupported, match=r"text\.wav"):
        read_stereo(tmp_path / "text.wav", rate_hz=RATE_HZ)


def test_packages_are_fetched_once(tools: Path, tmp_path: Path) -> None:
    put_tool(tools, "apt-get", f'echo "$1" >> {tmp_path}/calls; for name; do : > "${{name}}_1_all.deb"; done')
    folders = [fetch_packages(["a", "b"], cache=tmp_path / "cache", on_progress=lambda _: None) for _ in range(2)]
    assert folders[0] == folders[1]
    assert (folders[0][1] / "content").read_text().strip().endswith("b_1_all.deb")
    assert (tmp_path / "calls").read_text().split() == ["download"]
    assert sorted(path.name for path in folders[0][0].parent.iterdir()) == ["a", "b"]


def test_without_package_lists_private_ones_are_fetched(tools: Path, tmp_path: Path) -> None:
    put_tool(
        tools,
        "apt-get",
        'case "$*" in update*lists=*) : > updated;; download*lists=*) : > a_1_all.deb;; *) exit 100;; esac',
    )
    (folder,) = fetch_packages(["a"], cache=tmp_path / "cache", on_progress=lambda _: None)
    assert (folder / "content").exists()


def test_another_run_may_be_faster(tools: Path, tmp_path: Path) -> None:
    store = tmp_path / "cache" / "packages"
    put_tool(tools, "apt-get", f": > a_1_all.deb; mkdir {store}/a; echo theirs > {store}/a/content")
    (folder,) = fetch_packages(["a"], cache=tmp_path / "cache", on_progress=lambda _: None)
    assert (folder / "content").read_text() == "theirs\n"
    assert [path.name for path in store.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo first >&2; echo 'E: no network' >&2; exit 100", r"`apt-get update` failed \(E: no network\)"),
        ("exit 3", r"exit status 3"),
        ("exit 0", "downloaded no a"),
    ],
)
def test_a_failed_download_says_why(tools: Path, tmp_path: Path, script: str, reason: str) -> None:
    put_tool(tools, "apt-get", script)
    with pytest.raises(PackagesUnavailable, match=reason):
        fetch_packages(["a"], cache=tmp_path / "cache", on_progress=lambda _: None)
    assert list((tmp_path / "cache" / "packages").iterdir()) == []


def test_a_download_that_hangs_is_given_up(tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "STEP_SECONDS", 0.2)
    put_tool(tools, "apt-get", "exec sleep 30")
    with pytest.raises(PackagesUnavailable, match="took more than"):
        fetch_packages(["a"], cache=tmp_path / "cache", on_progress=lambda _: None)


def test_an_unusable_cache_is_a_reason(tools: Path, tmp_path: Path) -> None:
    put_tool(tools, "apt-get", "exit 0")
    (tmp_path / "cache").write_text("a file where a folder should be")
    with pytest.raises(PackagesUnavailable, match="cannot be used"):
        fetch_packages(["a"], cache=tmp_path / "cache", on_progress=lambda _: None)


def test_packages_that_changed_are_a_reason_to_synthesise_the_very_same(
    synthesised: DemoSet, tools: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    put_tool(tools, "apt-get", 'for name; do : > "${name}_1_all.deb"; done')
    said: list[str] = []
    demo = make_demo_pairs(tmp_path / "pairs", on_progress=said.append)
    assert "hold other files than expected" in demo.source
    assert any(line.startswith("Synthesising, because") for line in said)
    for one, other in zip(synthesised.pairs, demo.pairs, strict=True):
        assert one.master.read_bytes() == other.master.read_bytes()
        assert one.dub.read_bytes() == other.dub.read_bytes()
    assert not list((tmp_path / "pairs").glob(".*"))


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sync-analyzer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "sync-analyzer"
