"""The two files as a peer wants to be given them; made before the clock starts."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Inputs:
    master: Path
    dub: Path


def linked(master: Path, dub: Path, folder: Path) -> Inputs:
    """Link the files into the folder: some peers write beside what they read."""
    links = Inputs(folder / f"master{master.suffix}", folder / f"dub{dub.suffix}")
    links.master.symlink_to(master.resolve())
    links.dub.symlink_to(dub.resolve())
    return links


def both_wrapped(master: Path, dub: Path, folder: Path) -> Inputs:
    """Put both into Matroska files with a small picture: for peers that read nothing else."""
    return Inputs(_wrapped(master, folder / "master.mkv"), _wrapped(dub, folder / "dub.mkv"))


def master_wrapped(master: Path, dub: Path, folder: Path) -> Inputs:
    """Give the master a small picture, and the dub as it is: for peers that lay a sound track under a picture."""
    return Inputs(_wrapped(master, folder / "master.mkv"), linked(master, dub, folder).dub)


def _wrapped(source: Path, target: Path) -> Path:
    """Copy the sound as PCM, so that no codec delays it again, beside a picture of 16 x 16 at 25 frames a second."""
    picture = ["-f", "lavfi", "-i", "color=size=16x16:rate=25"]
    sound = ["-map", "0:a:0", "-map", "1:v:0", "-shortest", "-c:a", "pcm_s24le", "-metadata:s:a:0", "language=eng"]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-y", "-i", source, *picture, *sound, "-c:v", "mpeg4", target],
        check=True,
    )
    return target
