"""Divide the rows of a dub among the lines that are heard, and fit each stretch on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis import repeats, ridge, unheard, witnesses
from sync_core.analysis.coherence import BLOCK_SAMPLES
from sync_core.analysis.fit import Fit
from sync_core.analysis.heard_lines import Heard
from sync_core.analysis.line import Line
from sync_core.analysis.path import GAP, Run
from sync_core.analysis.pieces import Stretch
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.analysis.witnesses import Witness

_LEAST_SUPPORT = 0.3
_LEANING_SAMPLES = 1e-3 * ANALYSIS_RATE_HZ


def find(witness: Witness, everything: Sequence[Heard]) -> list[Stretch]:
    """Find which stretch of the dub lies on which of the lines that are heard, and fit each on its own span."""
    fits = [heard.fit for heard in everything]
    scores = np.array([heard.scores for heard in everything])
    runs = repeats.runs_without_repeats(fits, scores, partial(witnesses.master_repeats, witness))
    runs = unheard.taken_out(runs, scores, lambda line, *rows: _is_heard(witness, fits[line], *rows))
    found = (_refitted(witness, run, fits[run.line], scores[run.line]) for run in runs if run.line != GAP)
    return [stretch for stretch in found if stretch]


def _is_heard(witness: Witness, whole: Fit, first_row: int, last_row: int) -> bool:
    """Whether the sum of some rows stands on a line."""
    span = replace(whole.line, start_sample=first_row * BLOCK_SAMPLES, stop_sample=last_row * BLOCK_SAMPLES)
    return witnesses.is_heard(witness, span, whole.wow_seconds * ANALYSIS_RATE_HZ)


def _refitted(witness: Witness, run: Run, whole: Fit, scores: NDArray[np.float64]) -> Stretch | None:
    """Fit a run on its own span; None if too little of it stands on its line."""
    clear = np.flatnonzero(scores[run.start : run.stop] > ridge.CLEAR_SCORE)
    if not clear.size:
        return None
    span = replace(whole.line, start_sample=run.start * BLOCK_SAMPLES, stop_sample=run.stop * BLOCK_SAMPLES)
    fit = witness.fit(span)
    if whole.wow_seconds and not (fit and _is_steady(fit, span)):
        fit = replace(whole, line=span)
    first, last = (int(run.start + at) * BLOCK_SAMPLES for at in (clear[0], clear[-1] + 1))
    if fit and fit.support < _LEAST_SUPPORT:
        fit = witness.fit(replace(span, start_sample=first, stop_sample=last))
    is_supported = fit and fit.score >= witness.least_score and fit.support >= _LEAST_SUPPORT
    return Stretch(fit, first, last) if fit and is_supported else None


def _is_steady(fit: Fit, line: Line) -> bool:
    """Whether a fit neither wanders nor leans away from the line it was looked for along: a small step, and no wow."""
    leaning = abs(fit.line.slope - line.slope) * (line.stop_sample - line.start_sample)
    return not fit.wow_seconds and leaning < _LEANING_SAMPLES
