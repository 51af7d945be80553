"""The published benchmark: generate a corpus, run the product over it, score it, and write docs/accuracy.md.

python -m tests.accuracy.run [--recordings b] [--seed 1] [--scale small|full] [--families a,b] [--without c]
    [--one-by-one] [--page FILE]

At full scale all families together need some 30 GB: with --one-by-one each is deleted before the next is made. The page
also shows what `python -m tests.accuracy.unrelated` measured last on the same recordings.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import zlib
from collections import defaultdict
from pathlib import Path

from tests.accuracy import corpus, diagram, score

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
PICTURE = PAGE.with_name("reliability.svg")
LONGEST_NAME = 200
FOLDER = Path.home() / ".cache" / "sync-accuracy"
COLUMNS = {
    "cases": "cases",
    "within_1ms": "1 ms",
    "within_10ms": "10 ms",
    "within_40ms": "40 ms",
    "median_error_ms": "median, ms",
    "worst_error_ms": "worst, ms",
    "worst_rate_error_ppm": "rate, ppm",
    "boundaries": "boundaries",
    "boundaries_within_40ms": "in place (40 ms)",
    "invented_edits": "invented edits",
    "edit_f1": "edits F1",
    "false_matches": "false matches",
    "confidently_wrong": "wrong at 0.5+",
    "calibration_error": "calibration",
    "brier": "Brier",
}


def analyse(folder: Path, jobs: int) -> Path:
    """Run the command line over a corpus as a user would; return the results document."""
    pairs, results = folder / "pairs.csv", folder / "results.json"
    with pairs.open("w", newline="") as out:
        score.write_pairs(folder, out)
    command = Path(sys.executable).with_name("sync-analyzer")
    done = subprocess.run([command, "batch", "run", pairs, "--output", results, "--jobs", str(jobs)], check=False)
    if done.returncode > 1:
        raise SystemExit(done.returncode)
    return results


def table(outcomes: list[dict]) -> list[str]:
    """One row per family, and all together, in Markdown."""
    families = defaultdict(list)
    for outcome in outcomes:
        families[outcome["family"]].append(outcome)
    rows = ["| family | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, group in [*sorted(families.items()), ("all", outcomes)]:
        summary = score.summarise(group)
        rows.append(f"| {name} | " + " | ".join(_shown(summary[key]) for key in COLUMNS) + " |")
    return rows


def reliability(outcomes: list[dict]) -> list[str]:
    """What was claimed against what came true, by confidence, in Markdown."""
    rows = ["| mean confidence | right | answers |", "|---|---|---|"]
    return rows + [f"| {claimed:.3f} | {right:.3f} | {count} |" for claimed, right, count in diagram.bins_of(outcomes)]


def unrelated(recordings: str) -> str:
    """What was measured last on pairs that have nothing in common."""
    runs = sorted(FOLDER.glob(f"unrelated-{recordings}-*.json"), key=lambda path: path.stat().st_mtime)
    if not runs:
        return "Not measured on these recordings yet: `python -m tests.accuracy.unrelated` does."
    figures = json.loads(runs[-1].read_text())
    return (
        f"{figures['pairs']} more pairs of 15 to 60 s without anything in common (`python -m tests.accuracy.unrelated "
        f"--recordings {figures['recordings']} --seed {figures['seed']}`): {figures['false_matches']} false matches; "
        f"the highest confidence of any is {figures['highest_confidence']:.3f}."
    )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def groups_of(families: str, without: str, *, one_by_one: bool) -> list[str]:
    """Families to be measured together, each group comma-separated; empty for all there are."""
    if not (families or without or one_by_one):
        return [""]
    names = [name for name in families.split(",") if name] or list(corpus.FAMILIES)
    kept = [name for name in names if name not in without.split(",")]
    return kept if one_by_one else [",".join(kept)]


def measured(args: argparse.Namespace, families: str) -> list[dict]:
    """Make a corpus of some families, unless it is there, and judge what the product says about it."""
    name = f"{args.scale}-{args.recordings}-{args.seed}" + (f"-{families}" if families else "")
    folder = FOLDER / (name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}-{zlib.crc32(name.encode()):08x}")
    if not (folder / "manifest.json").exists():
        wanted = ["--families", families] if families else []
        options = ["--seed", args.seed, "--scale", args.scale, "--recordings", args.recordings, "--jobs", args.jobs]
        corpus.main(["--out", str(folder), *(str(option) for option in options), *wanted])
    results = score.load_results(analyse(folder, args.jobs))
    outcomes = [score.judge(case, results.get(case_id)) for case_id, case in score.load_cases(folder).items()]
    if args.one_by_one:
        shutil.rmtree(folder)
    return outcomes


def page(outcomes: list[dict], args: argparse.Namespace, command: str) -> str:
    """The whole page: what was run, the table, the reliability, the cases that went wrong."""
    wrong = [f"- {o['id']} {o['variant']}" for o in outcomes if not o["right"]]
    template = (Path(__file__).parent / "page.md").read_text()
    return template.format(
        command=command,
        cases=len(outcomes),
        seed=args.seed,
        recordings=args.recordings,
        scale=args.scale,
        table="\n".join(table(outcomes)),
        reliability="\n".join(reliability(outcomes)),
        picture=PICTURE.name,
        unrelated=unrelated(args.recordings),
        wrong="\n".join(wrong) or "None.",
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--scale", choices=("small", "full"), default="small")
    parser.add_argument("--recordings", choices=("all", "a", "b"), default="all")
    parser.add_argument("--families", default="")
    parser.add_argument("--without", default="", help="leave out these families")
    parser.add_argument("--one-by-one", action="store_true", help="delete each family's files before making the next")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--page", type=Path, default=PAGE)
    args = parser.parse_args(argv)
    groups = groups_of(args.families, args.without, one_by_one=args.one_by_one)
    outcomes = [outcome for group in groups for outcome in measured(args, group)]
    score.report(outcomes, worst=20)
    command = "python -m tests.accuracy.run " + " ".join(argv if argv is not None else sys.argv[1:])
    args.page.with_name(PICTURE.name).write_text(diagram.svg(outcomes))
    args.page.write_text(page(outcomes, args, command.strip()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
