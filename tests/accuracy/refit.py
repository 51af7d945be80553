"""Fit the confidence model's coefficients on generated corpora, and print them as confidence.py has them.

    python -m tests.accuracy.refit CORPUS [CORPUS ...]

The inputs are those of `confidence.Evidence`. A pair counts as right when its offset is within one frame of the truth;
an answer to a pair without a match is wrong. The coefficients are drawn towards those that stand in the module by a
small penalty, since generated pairs are almost all told apart perfectly and would otherwise push them to infinity.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from sync_core.analysis import confidence
from sync_core.analysis.compare import compare
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.pipeline.load_pair import find_source, load_pair
from tests.accuracy import score

NAMES = ("BIAS", "OF_LOG_STRENGTH", "OF_SUPPORT", "OF_RIVALRY")
PENALTY = 0.5
ROUNDS = 50


def inputs(evidence: confidence.Evidence) -> list[float]:
    """The model's inputs for one answer, in the order of NAMES."""
    strength = float(np.log(max(evidence.strength, 0.1)))
    return [1.0, strength, min(evidence.support, 1.0), min(evidence.rivalry, 1.0)]


def observations(folder: Path, policy: MediaPolicy) -> list[tuple[list[float], bool]]:
    """Inputs and outcome of every pair of a corpus for which there was anything to weigh."""
    rows = []
    for case in score.load_cases(folder).values():
        with tempfile.TemporaryDirectory() as spool:
            sources = [find_source(str(folder / case[side]), policy) for side in ("master", "dub")]
            master, dub = load_pair(*sources, Path(spool), per_channel=False, on_progress=lambda fraction: None)
            estimate = compare(master.mix, dub.mix, DEFAULT_METHODS)
        if estimate.evidence is None or (case["match"] and estimate.offset_seconds is None):
            continue
        right = case["match"] and abs(estimate.offset_seconds - case["offset_seconds"]) <= score.RIGHT_WITHIN_S
        rows.append((inputs(estimate.evidence), bool(right)))
    return rows


def fitted(rows: list[tuple[list[float], bool]], prior: np.ndarray) -> np.ndarray:
    """Penalised logistic regression by Newton's method [shape=(4,)]."""
    x = np.array([row for row, _ in rows])
    y = np.array([right for _, right in rows], float)
    weights = prior.copy()
    for _ in range(ROUNDS):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ weights, -30, 30)))
        gradient = x.T @ (y - p) - PENALTY * (weights - prior)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + PENALTY * np.eye(len(prior))
        weights = weights + np.linalg.solve(curvature, gradient)
    return weights


def main(folders: list[str]) -> int:
    corpora = [Path(folder).resolve() for folder in folders]
    policy = MediaPolicy(unrestricted=True)
    rows = [row for folder in corpora for row in observations(folder, policy)]
    prior = np.array([getattr(confidence, name) for name in NAMES])
    for name, value in zip(NAMES, fitted(rows, prior), strict=True):
        print(f"{name}: Final = {value:.2f}")
    print(f"{len(rows)} answers, {sum(right for _, right in rows)} of them right")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
