"""The weights of a splice's marks are a logarithm of a ratio of likelihoods."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import splices
from tests.accuracy import refit_splices


def test_the_fit_finds_the_ratio_of_the_likelihoods_however_few_edges_there_are():
    rng = np.random.default_rng(1)
    apart = np.array([2.0, 1.5])
    cues = np.concatenate([rng.standard_normal((3_000, 2)) + apart, rng.standard_normal((60_000, 2))])

    found = refit_splices.fitted(cues, np.arange(len(cues)) < 3_000)

    assert found == pytest.approx([*apart, -np.square(apart).sum() / 2], abs=0.15)


def test_edges_are_where_segments_meet_and_not_the_dubs_ends():
    case = {"segments": [{"dub_start": 0.0, "dub_end": 10.0}, {"dub_start": 12.5, "dub_end": 60.0}]}
    assert refit_splices.edges_of(case) == [2_000, 2_500]


def test_a_splice_is_told_from_other_places():
    rng = np.random.default_rng(2)
    tone, noise = np.sin(np.arange(160_000) / 9.0), 0.3 * rng.standard_normal(160_000)
    samples = np.concatenate([tone + 0.01 * noise, noise]).astype(np.float32)

    cues, is_edge = refit_splices.cues_of(samples, [2_000], rng)

    weights = cues @ (splices.PER_PEAK, splices.PER_CHANGE) + splices.AT_NONE
    assert np.argmax(weights) == np.argmax(is_edge)
