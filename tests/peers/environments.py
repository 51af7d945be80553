"""A virtual environment for each peer, built once and kept in the user's cache: their pins exclude each other."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from handlers.cli.demo_audio.packages import cache_folder
from tests.peers.peer import Peer


class PeerUnavailable(Exception):
    """The peer cannot be asked here; the message says why."""


def store() -> Path:
    """Name the folder for what outlives a run: environments, corpora, long files, answers."""
    return cache_folder() / "peers"


def bin_folder(peer: Peer) -> Path:
    """Give the folder of the peer's programs, installing them if they aren't there.

    Raises
    ------
    PeerUnavailable
        If they cannot be installed.
    """
    if not peer.package:
        return Path(sys.executable).parent
    digest = hashlib.sha256(peer.requirements.read_bytes()).hexdigest()[:10]
    folder = store() / "environments" / f"{peer.package}-{digest}"
    if not (folder / "complete").exists():
        _build(folder, peer.requirements)
    return folder / "bin"


def _build(folder: Path, requirements: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    venv.create(folder, with_pip=True)
    # The pins are complete; --no-deps leaves out what only a window needs (describealign's wxPython).
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    done = subprocess.run([*pip, "-r", requirements], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["pip failed"]
        raise PeerUnavailable(f"could not be installed: {errors[-1]}")
    _lend_ffmpeg(folder)
    (folder / "complete").touch()


def _lend_ffmpeg(folder: Path) -> None:
    """Put the machine's ffmpeg where static_ffmpeg would download its own."""
    package = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})) / "static_ffmpeg"
    if not package.is_dir():
        return
    programs = package / "bin" / "linux"
    programs.mkdir(parents=True, exist_ok=True)
    for name in ("ffmpeg", "ffprobe"):
        found = shutil.which(name)
        if found is None:
            raise PeerUnavailable(f"needs {name}, which is not on this machine")
        (programs / name).symlink_to(found)
    (programs / "installed.crumb").write_text("the machine's own, in place of ffmpeg_bins/raw/main/v8.0/linux.zip\n")
