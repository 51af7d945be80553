"""Build a deterministic corpus of master and dub pairs from real recordings, with exact truth.

    python -m tests.accuracy.corpus --out DIR [--seed N] [--scale small|full] [--families a,b] [--recordings all|a|b]

The recordings come out of Debian packages that are downloaded with apt into a cache; none of their audio is kept here.
The same seed gives the same corpus. Families, and what each varies, are in docs/accuracy.md.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np

from tests.accuracy import moved, shared, treated
from tests.accuracy.level import SR
from tests.accuracy.sources import Library, fetch_packages
from tests.accuracy.writing import write_audio

# family -> (builder, cases at scale small, cases at scale full)
FAMILIES = {
    "same_language": (treated.same_language, 4, 20),
    "codec": (treated.codec, 4, 24),
    "dub_language": (treated.dub_language, 8, 32),
    "dub_hard": (treated.dub_hard, 7, 28),
    "noise": (treated.noise, 2, 12),
    "eq": (treated.eq, 2, 12),
    "drc": (treated.drc, 1, 6),
    "samplerate": (treated.samplerate, 2, 9),
    "channels": (treated.channels, 2, 12),
    "polarity": (treated.polarity, 2, 6),
    "speed": (moved.speed, 4, 24),
    "drift": (moved.drift, 3, 12),
    "wow": (moved.wow, 2, 9),
    "edits": (moved.edits, 7, 63),
    "edits_speed": (moved.edits_speed, 6, 42),
    "leader": (moved.leader, 2, 8),
    "partial": (moved.partial, 2, 12),
    "repetitive": (moved.repetitive, 2, 8),
    "unrelated": (moved.unrelated, 4, 40),
    "shared_music": (shared.shared_music, 2, 10),
    "shared_titles": (shared.shared_titles, 2, 12),
    "loop_alone": (shared.loop_alone, 1, 6),
    "silence": (moved.silence, 3, 8),
    "short": (moved.short, 2, 9),
    "container": (treated.container, 2, 8),
    "long": (moved.long, 0, 3),
}


def make_case(family: str, index: int, seed: int, scale: str, out: Path, cache: Path, half: str) -> dict:
    lib = _library(cache, half)
    rng = np.random.default_rng([seed, zlib.crc32(family.encode()), index])
    case = FAMILIES[family][0](lib, rng, index, scale)
    name = f"{family}_{index:03d}"
    folder = out / family
    folder.mkdir(parents=True, exist_ok=True)
    master_seconds, dub_seconds = len(case.master) / SR, len(case.dub) / SR
    master, master_delay = write_audio(case.master, folder / f"{name}_master", case.master_format)
    dub, dub_delay = write_audio(case.dub, folder / f"{name}_dub", case.dub_format)
    # master_t = speed * dub_t + offset, with each side late by its codec's delay
    shift = master_delay - case.speed * dub_delay
    segments = case.segments or (
        [{"dub_start": 0.0, "dub_end": dub_seconds, "offset": case.offset, "speed": case.speed}] if case.match else []
    )
    segments = [
        dict(
            s,
            dub_start=round(s["dub_start"] + dub_delay, 6),
            dub_end=round(s["dub_end"] + dub_delay, 6),
            offset=round(s["offset"] + shift, 7),
        )
        for s in segments
    ]
    return {
        "id": name,
        "family": family,
        "variant": case.variant,
        "match": case.match,
        "master": str(master.relative_to(out)),
        "dub": str(dub.relative_to(out)),
        "offset_seconds": segments[0]["offset"] if segments else None,
        "speed": case.speed,
        "drift_ppm": round((case.speed - 1) * 1e6, 3),
        "segments": segments,
        "tolerance_s": case.tolerance,
        "master_seconds": round(master_seconds, 4),
        "dub_seconds": round(dub_seconds, 4),
        "languages": list(case.languages),
        "me_level_db": case.me_level_db,
        "codec_delay_s": {"master": round(master_delay, 6), "dub": round(dub_delay, 6)},
        "notes": case.notes,
    }


@lru_cache(maxsize=1)
def _library(cache: Path, half: str) -> Library:
    return Library(cache, half)


def main(argv: list[str] | None = None) -> int:
    args = _arguments(argv)
    fetch_packages(args.cache)
    _library(args.cache, args.recordings)  # decode the prompts once, before the workers start
    args.out.mkdir(parents=True, exist_ok=True)
    manifest = {
        "seed": args.seed,
        "scale": args.scale,
        "recordings": args.recordings,
        "sample_rate": SR,
        "convention": "master_time = speed * dub_time + offset; a late dub has a negative offset",
        "cases": list(_make_cases(args)),
    }
    (args.out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return 0


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--families", help=f"comma-separated, of: {', '.join(FAMILIES)}")
    parser.add_argument(
        "--recordings", choices=("all", "a", "b"), default="all", help="use only one half of the recordings"
    )
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "sync-bench")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    if unknown := set((args.families or "").split(",")) - {"", *FAMILIES}:
        parser.error(f"unknown families: {', '.join(sorted(unknown))}")
    return args


def _tasks(args: argparse.Namespace) -> list[tuple[str, int]]:
    """Families with the numbers of their cases."""

    def count(family: str) -> int:
        small, full = FAMILIES[family][1:]
        return (small or (1 if args.families else 0)) if args.scale == "small" else full

    families = args.families.split(",") if args.families else list(FAMILIES)
    return [(family, index) for family in families for index in range(count(family))]


def _make_cases(args: argparse.Namespace) -> Iterator[dict]:
    tasks = _tasks(args)
    common = (args.seed, args.scale, args.out.resolve(), args.cache.resolve(), args.recordings)
    made = itertools.count(1)
    # the long ones need gigabytes each, so they run alone
    for jobs, group in ((args.jobs, [t for t in tasks if t[0] != "long"]), (1, [t for t in tasks if t[0] == "long"])):
        with ProcessPoolExecutor(jobs) as pool:
            for future in [pool.submit(make_case, family, index, *common) for family, index in group]:
                case = future.result()
                print(
                    f"[{next(made)}/{len(tasks)}] {case['id']} {case['variant']} offset={case['offset_seconds']}",
                    flush=True,
                )
                yield case


if __name__ == "__main__":
    sys.exit(main())
