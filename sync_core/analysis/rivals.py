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
_FAINTEST = 1e-3


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
    return _weighed(master, dub, survey, ranked, on_block)


def _distinguished(one: Checked, survey: Survey, phases: PhaseScores) -> Checked:
    both = max(phases.at(one.lag_samples), 0.0) * max(survey.sharpness(one.lag_samples), 0.0)
    return replace(one, distinction=float(np.sqrt(both)))


def _weighed(
    master: Track, dub: Track, survey: Survey, ranked: Sequence[Checked], on_block: Callable[[int], None]
) -> list[Checked]:
    """Weigh the best lag's rivals by what the programme does not repeat, or, where no such is heard, by the features.

    A rival at which it is heard better takes the best one's place, and is asked in its turn.
    """
    order = list(ranked)
    for _ in ranked:
        best, *others = order
        rivals = [one for one in others if _is_rival(one, best, survey)][:_MOST_RIVALS]
        heard = list(zip(rivals, _heard_once(master, dub, best, rivals, on_block), strict=True))
        better = [(one, other) for one, (own, other) in heard if other > max(own, ridge.CLEAR_SCORE)]
        if not better:
            weighed = [
                replace(one, distinction=best.weight * _share(one, best, survey, *heights)) for one, heights in heard
            ]
            return sorted([best, *weighed, *(one for one in others if one not in rivals)], key=_by_distinction)
        strongest, _ = max(better, key=lambda pair: pair[1])
        order = [strongest, *(one for one in order if one is not strongest)]
    return order


def _is_rival(one: Checked, best: Checked, survey: Survey) -> bool:
    is_coherent = min(one.coherence, best.coherence) >= confidence.CONFIRMED_SCORE
    is_far = abs(one.lag_samples - best.lag_samples) > _FAR_SAMPLES
    return is_coherent and is_far and _likeness(one, best, survey) >= _RIVAL_SHARE


def _likeness(one: Checked, best: Checked, survey: Survey) -> float:
    """Weight of a lag as a share of the best one's: by the phases of all, or of the features alone if that is more.

    The waveforms' phases may favour a repeat that is not the true one; where the features do not, neither is sure.
    """
    by_features = survey.sharpness(one.lag_samples) / max(survey.sharpness(best.lag_samples), _FAINTEST)
    return min(max(one.weight / max(best.weight, _FAINTEST), by_features), 1.0)


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


def _share(rival: Checked, best: Checked, survey: Survey, own: float, other: float) -> float:
    """Weight of a rival as a share of the best one's, from what is heard once at either, if that is heard."""
    return max(other, 0.0) / own if own >= ridge.CLEAR_SCORE else _likeness(rival, best, survey)


def _by_distinction(one: Checked) -> tuple[bool, float]:
    return one.coherence < confidence.CONFIRMED_SCORE, -one.weight
