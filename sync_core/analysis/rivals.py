"""Decide between lags that all hold on the waveforms, as they do where a programme repeats itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sync_core.analysis import confidence, echoes, hypotheses, mel, ridge
from sync_core.analysis.hypotheses import Checked, Proposal, Survey
from sync_core.analysis.parallel import on_two_cores
from sync_core.analysis.phase import PhaseScores
from sync_core.analysis.track import Track

PHASE_PEAKS = 6

_FAR_SAMPLES = 4_000
_RIVAL_SHARE = 0.5
_MOST_RIVALS = 6


def is_open(checked: Sequence[Checked]) -> bool:
    """Whether no lag is confirmed, or another one elsewhere is about as coherent as the best."""
    if not hypotheses.is_confirmed(checked):
        return True
    best = checked[0]
    least = max(_RIVAL_SHARE * best.coherence, confidence.CONFIRMED_SCORE)
    return any(one.coherence >= least and abs(one.lag_samples - best.lag_samples) > _FAR_SAMPLES for one in checked[1:])


def settle(
    master: Track,
    dub: Track,
    survey: Survey,
    checked: Sequence[Checked],
    phases: PhaseScores,
    *,
    on_block: Callable[[int], None],
) -> list[Checked]:
    """Check the lags at which the whole waveforms agree in phase too, and decide among all that are coherent.

    What repeats, such as a bar of music, is coherent at every repeat, and more or less so by chance. It counts once in
    the phases of whole files, of their waveforms as of their features: candidates are compared by the mean of both.
    Where something is heard once, it decides (see `echoes`).
    """
    proposals = [
        Proposal(lag_hops, scores)
        for lag_hops in (round(lag / mel.HOP_SAMPLES) for lag in phases.peaks(PHASE_PEAKS))
        if (scores := survey.seen(lag_hops))
    ]
    looks = [hypotheses.look(master, dub, proposal, hypotheses.SECOND_LOOK_BLOCKS, on_block) for proposal in proposals]
    everything = hypotheses.ranked_by_coherence([*checked, *looks])
    ranked = sorted((_distinguished(one, survey, phases) for one in everything), key=_by_distinction)
    return _without_echoes(master, dub, ranked, on_block)


def _distinguished(one: Checked, survey: Survey, phases: PhaseScores) -> Checked:
    both = max(phases.at(one.lag_samples), 0.0) * max(survey.sharpness(one.lag_samples), 0.0)
    return replace(one, distinction=float(np.sqrt(both)))


def _without_echoes(
    master: Track, dub: Track, ranked: Sequence[Checked], on_block: Callable[[int], None]
) -> list[Checked]:
    """Weigh the best lag's rivals by what the programme does not repeat, where such is heard.

    A rival at which it is heard better takes the best one's place, and is asked in its turn.
    """
    order = list(ranked)
    for _ in ranked:
        best, *others = order
        rivals = [one for one in others if _is_rival(one, best)][:_MOST_RIVALS]
        heights = _heard_once(master, dub, best, rivals, on_block)
        better = [other for own, other in heights if other > max(own, ridge.CLEAR_SCORE)]
        if not better:
            weighed = [_weighed(one, best, *height) for one, height in zip(rivals, heights, strict=True)]
            return sorted([best, *weighed, *(one for one in others if one not in rivals)], key=_by_distinction)
        strongest = rivals[[other for _, other in heights].index(max(better))]
        order = [strongest, *(one for one in order if one is not strongest)]
    return order


def _is_rival(one: Checked, best: Checked) -> bool:
    is_coherent = min(one.coherence, best.coherence) >= confidence.CONFIRMED_SCORE
    is_far = abs(one.lag_samples - best.lag_samples) > _FAR_SAMPLES
    return is_coherent and is_far and one.weight >= _RIVAL_SHARE * best.weight


def _heard_once(
    master: Track, dub: Track, best: Checked, rivals: Sequence[Checked], on_block: Callable[[int], None]
) -> list[tuple[float, float]]:
    """How well what is heard once agrees at the best lag, and at each rival, as `echoes.agreement` tells."""

    def ask(rival: Checked) -> tuple[float, float]:
        return echoes.agreement(master, dub, best.lag_samples, rival.lag_samples)

    heights = []
    for height in on_two_cores(ask, rivals):
        heights.append(height)
        on_block(echoes.MOST_BLOCKS)
    return heights


def _weighed(rival: Checked, best: Checked, own: float, other: float) -> Checked:
    if own < ridge.CLEAR_SCORE:
        return rival
    return replace(rival, distinction=best.weight * max(other, 0.0) / own)


def _by_distinction(one: Checked) -> tuple[bool, float]:
    return one.coherence < confidence.CONFIRMED_SCORE, -one.weight
