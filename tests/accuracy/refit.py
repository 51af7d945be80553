"""Fit the confidence model's coefficients on generated corpora, and print them as confidence.py has them.

    python -m tests.accuracy.refit gather CORPUS [CORPUS ...]     adds what they give to observations.csv
    python -m tests.accuracy.refit fit                            fits on observations.csv

The inputs are those of `confidence.Evidence`. A pair counts as right when its offset is within one frame of the truth;
an answer to a pair without a match is wrong. Pairs for which there was nothing to weigh, since no waveform agreed
anywhere, are left out: they are refused whatever the coefficients are. Most answers are told apart perfectly, which
would push the coefficients to infinity: a small penalty draws them towards PRIOR. A wrong answer costs twenty times
what a refused one does, as it does in a studio; loops, the only kind of pair that gives both, are therefore rather
refused.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import optimize

from sync_core.analysis import confidence
from sync_core.analysis.compare import compare
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.pipeline.load_pair import load_pair
from sync_core.pipeline.sources import find_source
from tests.accuracy import score

OBSERVATIONS = Path(__file__).with_name("observations.csv")
COLUMNS = ("corpus", "case", "variant", "strength", "support", "rivalry", "right")
NAMES = ("BIAS", "OF_LOG_STRENGTH", "OF_SUPPORT", "OF_RIVALRY")
PRIOR = (-4.0, 2.0, 2.0, -30.0)
PENALTY = 1.0
COST_OF_WRONG = 20.0


def observations(folder: Path) -> list[dict]:
    """Evidence and outcome of every pair of a corpus for which there was anything to weigh."""
    manifest = json.loads((folder / "manifest.json").read_text())
    name = "{scale}-{recordings}-{seed}".format(**manifest)
    rows = []
    for case in manifest["cases"]:
        with tempfile.TemporaryDirectory() as spool:
            policy = MediaPolicy(unrestricted=True)
            sources = [find_source(str(folder / case[side]), policy) for side in ("master", "dub")]
            master, dub = load_pair(*sources, Path(spool), per_channel=False, on_progress=lambda fraction: None)
            estimate = compare(master.mix, dub.mix, DEFAULT_METHODS)
        if estimate.evidence is not None:
            rows.append(observation(name, case, estimate))
    return rows


def observation(corpus: str, case: dict, estimate) -> dict:
    """One row of observations.csv; an answer that was refused for its low confidence is judged by where it would be."""
    evidence = estimate.evidence
    near = abs(evidence.offset_seconds - (case["offset_seconds"] or 0.0)) <= score.RIGHT_WITHIN_S
    values = (corpus, case["id"], case["variant"], evidence.strength, evidence.support, evidence.rivalry)
    shown = [f"{value:.4g}" if isinstance(value, float) else value for value in values]
    return dict(zip(COLUMNS, [*shown, int(case["match"] and near)], strict=True))


def read(path: Path = OBSERVATIONS) -> tuple[np.ndarray, np.ndarray]:
    """The model's inputs [shape=(n, 4)], and what was right [shape=(n,)]."""
    with path.open() as file:
        rows = list(csv.DictReader(file))
    seen = [confidence.Evidence(float(row["strength"]), float(row["support"]), float(row["rivalry"])) for row in rows]
    return np.array([confidence.inputs(evidence) for evidence in seen]), np.array([int(row["right"]) for row in rows])


def fitted(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Penalised logistic regression [shape=(4,)]."""
    prior = np.array(PRIOR)

    def loss(weights: np.ndarray) -> float:
        logits = x @ weights
        costs = np.where(y, 1.0, COST_OF_WRONG) * (np.logaddexp(0.0, logits) - y * logits)
        return float(costs.sum() + 0.5 * PENALTY * np.square(weights - prior).sum())

    return np.asarray(optimize.minimize(loss, prior, method="BFGS").x)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("gather").add_argument("corpora", nargs="+", type=Path)
    commands.add_parser("fit")
    args = parser.parse_args(argv)
    if args.command == "gather":
        is_new = not OBSERVATIONS.exists()
        with OBSERVATIONS.open("a", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            if is_new:
                writer.writeheader()
            for folder in args.corpora:
                writer.writerows(observations(folder.resolve()))
        return 0
    x, y = read()
    for name, value in zip(NAMES, fitted(x, y), strict=True):
        print(f"{name}: Final = {value:.2f}")
    print(f"{len(y)} answers, {y.sum()} of them right")
    return 0


if __name__ == "__main__":
    sys.exit(main())
