"""`python -m tests.peers`: compare with what others offer, and write docs/peers.md.

The accuracy part asks every program about every pair of a corpus; `--speed` times them on long pairs instead. Each part
is kept, and the page is written from the newest of both. Programs are installed into the user's cache, each into an
environment of its own.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.peers import accuracy, kept, page, speed
from tests.peers.catalogue import OURS, PEERS, QUICK
from tests.peers.environments import PeerUnavailable, bin_folder, store
from tests.peers.peer import Peer
from tests.peers.self_check import check_sign, write_shifted


def main() -> None:
    arguments = _arguments()
    programs, absent = _ready([OURS, *([QUICK] if arguments.speed else []), *PEERS], arguments.only)
    if arguments.speed:
        for minutes in arguments.minutes:
            kept.keep_speed(minutes, speed.measure(programs, minutes))
    else:
        corpus = _corpus(arguments)
        kept.keep_accuracy(accuracy.title(corpus), absent, accuracy.measure(corpus, programs, jobs=arguments.jobs))
    page.write()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__)
    parser.add_argument("--corpus", type=Path, help="a corpus that exists, in place of one made here")
    parser.add_argument("--recordings", choices=("all", "a", "b"), default="b")
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--jobs", type=int, default=1, help="pairs at once, for accuracy")
    parser.add_argument("--speed", action="store_true", help="time them instead")
    parser.add_argument("--minutes", type=int, nargs="+", choices=tuple(speed.ROUNDS), default=tuple(speed.ROUNDS))
    parser.add_argument("--only", nargs="+", metavar="NAME", help="ask only these programs")
    return parser.parse_args()


def _ready(wanted: list[Peer], only: list[str] | None) -> tuple[dict[Peer, Path], dict[str, str]]:
    """Install and check; returns the programs that can be asked, and why others cannot."""
    ready: dict[Peer, Path] = {}
    absent: dict[str, str] = {}
    with TemporaryDirectory(prefix="sync-peers-") as name:
        one, other = write_shifted(Path(name))
        for peer in wanted:
            if only is None or peer.name in only:
                try:
                    folder = bin_folder(peer)
                    check_sign(peer, folder, one, other)
                    ready[peer] = folder
                except PeerUnavailable as reason:
                    absent[peer.name] = str(reason)
                print(f"{peer.name}: {absent.get(peer.name, 'ready')}", file=sys.stderr, flush=True)
    return ready, absent


def _corpus(arguments: argparse.Namespace) -> Path:
    """Make the corpus if it isn't in the cache."""
    if arguments.corpus:
        return arguments.corpus.resolve()
    folder = store() / "corpora" / f"{arguments.recordings}-{arguments.seed}-{arguments.scale}"
    if not folder.is_dir():
        work = folder.with_suffix(".part")
        options = [f"--{name}={getattr(arguments, name)}" for name in ("recordings", "seed", "scale", "jobs")]
        subprocess.run([sys.executable, "-m", "tests.accuracy.corpus", f"--out={work}", *options], check=True)
        work.rename(folder)
    return folder


if __name__ == "__main__":
    main()
