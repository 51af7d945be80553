"""Fit how much the marks of a splice weigh, on generated corpora, and print the coefficients as splices.py has them.

    python -m tests.accuracy.refit_splices CORPUS [CORPUS ...]

Of each edited dub, the marks at the true edges of inserts and cuts are told from those at random places by a logistic
regression. Edges to black are left out: digital silence is found without marks. So are dubs whose speed was changed
after the edit, since that moves what a cut leaves.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import optimize

from sync_core.analysis import splices
from sync_core.analysis.boundaries import STEP_SAMPLES
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.domain.media import MediaPolicy
from sync_core.pipeline.load_track import LoadOrder, load_track
from sync_core.pipeline.sources import find_source

NAMES = ("PER_PEAK", "PER_CHANGE", "AT_NONE")
_ELSEWHERE = 40
"""Random places for each edge."""
_APART_STEPS = 6
_MARGIN_STEPS = 400


def edges_of(case: dict) -> list[int]:
    """Steps at which a dub was spliced."""
    starts, ends = ({segment[key] for segment in case["segments"]} for key in ("dub_start", "dub_end"))
    inner = sorted((starts | ends) - {min(starts), max(ends)})
    return [round(seconds * ANALYSIS_RATE_HZ / STEP_SAMPLES) for seconds in inner]


def cues_of(samples: np.ndarray, edges: list[int], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The marks at edges and at random places [shape=(n, 2)], and which are edges [shape=(n,)]."""
    steps = samples.size // STEP_SAMPLES
    cues = splices.cues(samples, 0, steps, STEP_SAMPLES)
    elsewhere = rng.integers(_MARGIN_STEPS, steps - _MARGIN_STEPS, _ELSEWHERE * len(edges))
    far = np.abs(elsewhere[:, None] - np.array(edges)).min(axis=1) > _APART_STEPS
    return np.concatenate([cues[edges], cues[elsewhere[far]]]), np.arange(len(edges) + far.sum()) < len(edges)


def gathered(folders: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Marks of all edited dubs of some corpora, and which are edges."""
    rng = np.random.default_rng(0)
    found = []
    for folder in folders:
        for case in json.loads((folder / "manifest.json").read_text())["cases"]:
            if case["family"] == "edits" and "black" not in case["variant"]:
                with tempfile.TemporaryDirectory() as spool:
                    source = find_source(str(folder / case["dub"]), MediaPolicy(unrestricted=True))
                    dub = load_track(LoadOrder(source, Path(spool) / "dub"), lambda: False, lambda fraction: None).mix
                    found.append(cues_of(dub.samples, edges_of(case), rng))
    cues, is_edge = zip(*found, strict=True)
    return np.concatenate(cues), np.concatenate(is_edge)


def fitted(cues: np.ndarray, is_edge: np.ndarray) -> np.ndarray:
    """Coefficients in the order of NAMES, for the logarithm of a ratio of likelihoods: edges count as one in two."""
    inputs = np.column_stack([cues, np.ones(len(cues))])

    def loss(weights: np.ndarray) -> float:
        logits = inputs @ weights
        return float(np.mean(np.logaddexp(0.0, logits) - is_edge * logits))

    weights = optimize.minimize(loss, np.zeros(3)).x
    share = float(is_edge.mean())
    return np.asarray([*weights[:2], weights[2] - np.log(share / (1.0 - share))])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+", type=Path)
    cues, is_edge = gathered(parser.parse_args(argv).corpora)
    values = fitted(cues, is_edge)
    print(f"{is_edge.sum()} edges, {(~is_edge).sum()} other places")
    print(", ".join(NAMES), "=", ", ".join(f"{value:.2f}" for value in values))
    return 0


if __name__ == "__main__":
    sys.exit(main())
