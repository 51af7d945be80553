#!/usr/bin/env python3
"""Score analysis results against the ground truth of a corpus built by make_corpus.py.

    score.py pairs CORPUS > pairs.csv          # a batch CSV; `description` carries the case id
    score.py score CORPUS results.json         # the /results document of that batch
                 [--json OUT] [--worst N]

Only the public result schema is read: `verdict`, `offset_seconds`, `confidence`,
`speed_ratio` and `segments` (`dub_start`, `dub_end`, `offset_seconds`, `speed_ratio`; a gap has no offset)
of each item.

Time model: master_time = speed * dub_time + offset, so a dub that is late has a negative
offset.  For an edited dub `offset_seconds` is the first segment's.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
from collections import defaultdict
from pathlib import Path
from statistics import median

TOLERANCES_S = (0.001, 0.010, 0.040)
RIGHT_WITHIN_S = 0.040  # one frame at 25 fps: what `confidence` is the probability of
BOUNDARY_WITHIN_S = 0.5
STEP_WITHIN_S = 0.005
COVERED_AT_LEAST = 0.5  # intersection over union of matched dub spans, below which an answer is not right


def load_cases(corpus: Path) -> dict[str, dict]:
    return {case["id"]: case for case in json.loads((corpus / "manifest.json").read_text())["cases"]}


def write_pairs(corpus: Path, out) -> None:
    writer = csv.writer(out)
    writer.writerow(["master_file", "dub_file", "methods", "ai_model", "description", "tags"])
    for case in load_cases(corpus).values():
        paths = [str((corpus / case[side]).resolve()) for side in ("master", "dub")]
        writer.writerow([*paths, "mfcc,onset,spectral", "", case["id"], case["family"]])


def load_results(path: Path) -> dict[str, dict]:
    """Item by case id (the item's description)."""
    items = json.loads(path.read_text())["results"]
    return {item["description"]: item for item in items}


def lines(segments: list[dict]) -> list[dict]:
    """Segments with an offset, truth's and result's names made one; gaps left out."""
    return [
        {
            "start": s["dub_start"],
            "end": s["dub_end"],
            "offset": s.get("offset_seconds", s.get("offset")),
            "rate": s.get("speed_ratio", s.get("speed")) or 1.0,
        }
        for s in segments
        if s.get("offset_seconds", s.get("offset")) is not None
    ]


def boundaries(segments: list[dict]) -> list[tuple[float, float]]:
    """(dub time, step in seconds there) of each change of offset; a change under STEP_WITHIN_S is none."""
    found = []
    for a, b in itertools.pairwise(segments):
        step = b["offset"] + b["rate"] * b["start"] - a["offset"] - a["rate"] * b["start"]
        if abs(step) >= STEP_WITHIN_S:
            found.append((b["start"], step))
    return found


def boundary_errors(truth: list[dict], found: list[dict]) -> tuple[list[float], int]:
    """How far the boundaries that were found are from the true ones, seconds; and how many were found too many."""
    have = boundaries(found)
    errors = []
    for time_s, step_s in boundaries(truth):
        for i, (t, s) in enumerate(have):
            if abs(t - time_s) <= BOUNDARY_WITHIN_S and abs(s - step_s) <= STEP_WITHIN_S:
                have.pop(i)
                errors.append(abs(t - time_s))
                break
    return errors, len(have)


def edit_counts(truth: list[dict], found: list[dict]) -> tuple[int, int, int]:
    """True positives, false positives and false negatives among segment boundaries."""
    errors, invented = boundary_errors(truth, found)
    return len(errors), invented, len(boundaries(truth)) - len(errors)


def covered(a: list[dict], b: list[dict]) -> float:
    """Seconds of dub that lie in segments of both."""
    return sum(max(0.0, min(x["end"], y["end"]) - max(x["start"], y["start"])) for x in a for y in b)


def overlap(truth: list[dict], found: list[dict]) -> float:
    """Intersection over union of the dub spans that truth and result call matched."""
    both = covered(truth, found)
    union = sum(x["end"] - x["start"] for x in truth) + sum(x["end"] - x["start"] for x in found) - both
    return both / union if union > 0 else 0.0


def judge(case: dict, item: dict | None) -> dict:
    """One case's outcome; `error_s` is None where there is no offset to compare."""
    result = (item or {}).get("result") or {}
    missing = item is None or item.get("status") != "completed"
    claimed = result.get("verdict") not in (None, "no_match") and result.get("offset_seconds") is not None
    slack = case.get("tolerance_s", 0.0)
    error = abs(result["offset_seconds"] - case["offset_seconds"]) if claimed and case["match"] else None
    truth, found = lines(case["segments"]), lines(result.get("segments") or [])
    shared = overlap(truth, found) if claimed and case["match"] else None
    right = (
        (error is not None and error <= RIGHT_WITHIN_S + slack and shared >= COVERED_AT_LEAST)
        if case["match"]
        else not (claimed or missing)
    )
    return {
        "id": case["id"],
        "family": case["family"],
        "variant": case["variant"],
        "match": case["match"],
        "missing": missing,
        "claimed": claimed,
        "right": right,
        "error_s": error,
        "slack_s": slack,
        "overlap": shared,
        "confidence": (1.0 if result.get("confidence") is None else result["confidence"]) if claimed else None,
        "rate_error_ppm": abs((result.get("speed_ratio") or 1.0) - case["speed"]) * 1e6 if error is not None else None,
        "edits": edit_counts(truth, found) if case["match"] else None,
        "boundaries_within_40ms": _placed(truth, found) if case["match"] else 0,
    }


def _placed(truth: list[dict], found: list[dict]) -> int:
    """Boundaries found within a frame of where they are."""
    return sum(error <= RIGHT_WITHIN_S for error in boundary_errors(truth, found)[0])


def calibration_error(outcomes: list[dict], bins: int = 10) -> float | None:
    """Expected calibration error of `confidence` over the offsets that were claimed."""
    rated = [o for o in outcomes if o["claimed"]]
    if not rated:
        return None
    groups = defaultdict(list)
    for o in rated:
        groups[min(int(o["confidence"] * bins), bins - 1)].append(o)
    gap = lambda g: abs(sum(o["confidence"] for o in g) - sum(o["right"] for o in g))  # noqa: E731
    return sum(gap(g) for g in groups.values()) / len(rated)


def brier_score(outcomes: list[dict]) -> float | None:
    """Mean squared distance of `confidence` from what came true; rewards telling right from wrong."""
    rated = [o for o in outcomes if o["claimed"]]
    return sum((o["confidence"] - o["right"]) ** 2 for o in rated) / len(rated) if rated else None


def summarise(outcomes: list[dict]) -> dict:
    matched = [o for o in outcomes if o["match"]]
    unmatched = [o for o in outcomes if not o["match"]]
    errors = [o["error_s"] for o in matched if o["error_s"] is not None]
    rates = [o["rate_error_ppm"] for o in matched if o["rate_error_ppm"] is not None]
    tp, fp, fn = (sum(o["edits"][k] for o in matched) for k in range(3))
    within = lambda tol: sum(o["error_s"] is not None and o["error_s"] <= tol + o["slack_s"] for o in matched)  # noqa: E731
    return {
        "cases": len(outcomes),
        "matched": len(matched),
        "missing": sum(o["missing"] for o in outcomes),
        **{f"within_{int(t * 1000)}ms": within(t) for t in TOLERANCES_S},
        "median_error_ms": 1e3 * median(errors) if errors else None,
        "worst_error_ms": 1e3 * max(errors) if errors else None,
        "worst_rate_error_ppm": max(rates) if rates else None,
        "boundaries": tp + fn,
        "boundaries_within_40ms": sum(o["boundaries_within_40ms"] for o in matched),
        "invented_edits": fp,
        "edit_f1": 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None,
        "false_matches": sum(o["claimed"] for o in unmatched),
        "unmatched": len(unmatched),
        "confidently_wrong": sum(not o["right"] and o["claimed"] and o["confidence"] >= 0.5 for o in outcomes),
        "calibration_error": calibration_error(outcomes),
        "brier": brier_score(outcomes),
    }


def report(outcomes: list[dict], worst: int) -> None:
    families = defaultdict(list)
    for o in outcomes:
        families[o["family"]].append(o)
    show = lambda v: "-" if v is None else f"{v:.3g}" if isinstance(v, float) else str(v)  # noqa: E731
    columns = list(summarise(outcomes))
    print("family," + ",".join(columns))
    for name, group in [*sorted(families.items()), ("ALL", outcomes)]:
        print(name + "," + ",".join(show(v) for v in summarise(group).values()))
    wrong = [o for o in outcomes if not o["right"]]
    for o in wrong[:worst]:
        print(f"wrong: {o['id']} {o['variant']} error_s={show(o['error_s'])} confidence={show(o['confidence'])}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("pairs").add_argument("corpus", type=Path)
    scoring = commands.add_parser("score")
    scoring.add_argument("corpus", type=Path)
    scoring.add_argument("results", type=Path)
    scoring.add_argument("--json", type=Path)
    scoring.add_argument("--worst", type=int, default=20)
    args = parser.parse_args()
    if args.command == "pairs":
        write_pairs(args.corpus, sys.stdout)
        return 0
    results = load_results(args.results)
    outcomes = [judge(case, results.get(case_id)) for case_id, case in load_cases(args.corpus).items()]
    report(outcomes, args.worst)
    if args.json:
        args.json.write_text(json.dumps({"summary": summarise(outcomes), "cases": outcomes}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
