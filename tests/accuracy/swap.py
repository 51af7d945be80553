"""Compare pairs both ways round: swapping master and dub must invert the answer.

    python -m tests.accuracy.swap CORPUS [CORPUS ...] [--every 3]

`master = rate * dub + offset` becomes `dub = master / rate - offset / rate`. Each answer must be the inverse of the
other within what both say they are precise to; a file against itself must give exactly 0.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from sync_core.analysis.compare import compare
from sync_core.analysis.estimate import Estimate
from sync_core.analysis.track import Track
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.domain.result import SegmentKind
from sync_core.pipeline.load_pair import load_pair
from sync_core.pipeline.sources import find_source
from tests.accuracy import score


def broken(one: Estimate, other: Estimate) -> str | None:
    """Say how two answers to a pair, one with its sides swapped, fail to be each other's inverse; None if they are.

    Where the dub is edited, the first segment of one need not be the first of the other: each line of the one must be
    inverted by some line of the other.
    """
    if (one.offset_seconds is None) != (other.offset_seconds is None):
        return "one is refused"
    if one.offset_seconds is None:
        return None
    slack = (one.precision_seconds or 0.0) + (other.precision_seconds or 0.0)
    theirs = [s for s in other.segments if s.kind is SegmentKind.PROGRAMME]
    for line in (s for s in one.segments if s.kind is SegmentKind.PROGRAMME):
        middle = (line.dub_start + line.dub_end) / 2
        there = line.speed_ratio * middle + line.offset_seconds
        misses = [abs(back.speed_ratio * there + back.offset_seconds - middle) for back in theirs]
        if min(misses) > slack:
            return f"{min(misses) * 1e3:.3f} ms apart, {slack * 1e3:.3f} ms allowed"
    return None


def law_of(master: Track, dub: Track) -> tuple[str | None, Estimate]:
    """Compare a pair both ways; what is broken, and the answer the right way round."""
    forth, back = (compare(*pair, DEFAULT_METHODS) for pair in ((master, dub), (dub, master)))
    return broken(forth, back) or broken(back, forth), forth


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take each so-manyth case")
    args = parser.parse_args(argv)
    looked = wrong = 0
    for folder in args.corpora:
        for case in list(score.load_cases(folder).values())[:: args.every]:
            with tempfile.TemporaryDirectory() as spool:
                policy = MediaPolicy(unrestricted=True)
                sources = [find_source(str((folder / case[side]).resolve()), policy) for side in ("master", "dub")]
                master, dub = load_pair(*sources, Path(spool), per_channel=False, on_progress=lambda fraction: None)
                why, _ = law_of(master.mix, dub.mix)
                itself = compare(master.mix, master.mix, DEFAULT_METHODS)
            if itself.offset_seconds not in (0.0, None):
                why = f"the master against itself gives {itself.offset_seconds}"
            looked, wrong = looked + 1, wrong + bool(why)
            if why:
                print(f"{case['id']} {case['variant']}: {why}", flush=True)
    print(f"{looked} pairs, {wrong} of them break the law")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
