"""Fetch small Debian packages without root and unpack them into a cache, so that a second run needs no network.

apt checks signatures and hashes; a package is in the cache wholly or not at all, however many runs fetch it at once.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

OnProgress = Callable[[str], None]

STEP_SECONDS = 60.0
"""Limit of each step: a download, a refresh of the package lists, an unpacking."""

_PATIENCE = ("-o", "Acquire::Retries=0", "-o", "Acquire::http::Timeout=10", "-o", "Acquire::https::Timeout=10")


class PackagesUnavailable(Exception):
    """The packages could not be had; the message is the reason, as the end of a sentence."""


def cache_folder() -> Path:
    """Name the folder that outlives runs: `sync-analyzer` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "sync-analyzer"


def fetch_packages(names: Sequence[str], *, cache: Path, on_progress: OnProgress) -> tuple[Path, ...]:
    """Return a folder per package with its files in it, fetching those that the cache does not hold.

    Raises
    ------
    PackagesUnavailable
        If the machine has no apt, the network or a package is missing, or the cache cannot be written.
    """
    try:
        return _fetch(names, cache / "packages", on_progress)
    except OSError as error:
        raise PackagesUnavailable(f"the cache {cache} cannot be used ({error.strerror})") from error


def _fetch(names: Sequence[str], store: Path, on_progress: OnProgress) -> tuple[Path, ...]:
    missing = [name for name in names if not (store / name).is_dir()]
    if missing:
        _require("apt-get", "dpkg-deb")
        store.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix="fetching-", dir=store) as work:
            _download(missing, Path(work), on_progress)
            for name in missing:
                _unpack(name, Path(work), store)
    return tuple(store / name for name in names)


def _require(*tools: str) -> None:
    for tool in tools:
        if shutil.which(tool) is None:
            raise PackagesUnavailable(f"{tool} is not on this machine")


def _download(names: Sequence[str], folder: Path, on_progress: OnProgress) -> None:
    on_progress(f"Fetching recordings, a few megabytes, once: {', '.join(names)}")
    try:
        _run(["apt-get", "download", *_PATIENCE, *names], folder)
    except PackagesUnavailable:
        on_progress("The system's package lists do not help; fetching private ones")
        private = _private_lists(folder)
        _run(["apt-get", "update", *_PATIENCE, *private], folder)
        _run(["apt-get", "download", *_PATIENCE, *private, *names], folder)


def _private_lists(folder: Path) -> list[str]:
    """Make folders for package lists of our own, and the options that make apt use them."""
    lists, cache = folder / "lists", folder / "apt-cache"
    for needed in (lists / "partial", cache / "archives" / "partial"):
        needed.mkdir(parents=True)
    strict = "APT::Update::Error-Mode=any"  # else a refresh that fetched nothing counts as a success
    settings = (f"Dir::State::lists={lists}", f"Dir::Cache={cache}", "Acquire::Languages=none", strict)
    return [part for setting in settings for part in ("-o", setting)]


def _unpack(name: str, work: Path, store: Path) -> None:
    archive = next(work.glob(f"{name}_*.deb"), None)
    if archive is None:
        raise PackagesUnavailable(f"apt-get downloaded no {name}")
    unpacked = work / "unpacked" / name
    unpacked.mkdir(parents=True)
    _run(["dpkg-deb", "-x", str(archive), str(unpacked)], work)
    try:
        unpacked.rename(store / name)
    except OSError:
        if not (store / name).is_dir():  # else another run was faster, with the same files
            raise


def _run(command: list[str], folder: Path) -> None:
    """Run a step of the package manager."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STEP_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise PackagesUnavailable(f"`{' '.join(command[:2])}` took more than {STEP_SECONDS:.0f} s") from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise PackagesUnavailable(f"`{' '.join(command[:2])}` failed ({lines[-1]})")
