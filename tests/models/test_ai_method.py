"""The AI method keeps the laws of every method, whatever model made the embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.analysis import correlation
from sync_core.analysis.methods.ai import Ai, Basis, Embedded
from sync_core.analysis.track import ANALYSIS_RATE_HZ
from sync_core.models.spectral import SpectralEmbedder
from tests.analysis.signals import programme, shifted, track

SECONDS = 20
LENGTH = SECONDS * ANALYSIS_RATE_HZ
MUSIC = programme(SECONDS + 8.0, seed=31)
MASTER = track(MUSIC[:LENGTH])
EMBEDDER = SpectralEmbedder()


def every_hop(track_of, basis, thin=1):
    """Embed with hops that are `thin` times as long as the model's."""
    rows = basis.project(EMBEDDER.embed(track_of.samples)[::thin])
    geometry = EMBEDDER.geometry
    return Embedded(rows, np.ones(len(rows), bool), thin * geometry.hop_samples, geometry.first_centre)


def best_lag(master, dub, *, thin=1, spoil=lambda embedded: embedded):
    basis = Basis.fit([EMBEDDER.embed(one.samples) for one in (master, dub)])
    method = Ai(lambda one: spoil(every_hop(one, basis, thin)))
    scores = correlation.score_lags(method.features(master), method.features(dub), on_dims=lambda count: None)
    return correlation.peaks(scores.plain, scores.first_lag, 1)[0]


@pytest.mark.parametrize("seconds", [-3.21, 0.0, 1.5, 6.78])
def test_a_known_shift_is_found(seconds):
    peak = best_lag(MASTER, track(shifted(MUSIC, seconds, LENGTH)))
    assert peak.lag_hops == pytest.approx(100 * seconds, abs=1)
    assert peak.score > 20


@pytest.mark.parametrize("thin", [2, 10])
def test_longer_hops_lie_on_the_same_grid(thin):
    peak = best_lag(MASTER, track(shifted(MUSIC, 1.5, LENGTH)), thin=thin)
    assert peak.lag_hops == pytest.approx(150, abs=thin)


def test_swapping_negates():
    dub = track(shifted(MUSIC, 2.34, LENGTH) + programme(SECONDS, seed=32))
    assert best_lag(MASTER, dub).lag_hops == -best_lag(dub, MASTER).lag_hops


@pytest.mark.parametrize("gain", [0.01, 3.0, -1.0])
def test_gain_and_polarity_change_nothing(gain):
    dub = shifted(MUSIC, 1.25, LENGTH)
    plain, scaled = (best_lag(MASTER, track(np.float32(g) * dub)) for g in (1.0, gain))
    assert plain.lag_hops == scaled.lag_hops
    assert scaled.score == pytest.approx(plain.score, rel=0.02)


def test_other_dialogue_over_the_same_bed():
    bed = np.float32(0.5)
    master = track(bed * MASTER.samples + programme(SECONDS, seed=33))
    dub = track(bed * shifted(MUSIC, 0.77, LENGTH) + programme(SECONDS, seed=34))
    peak = best_lag(master, dub)
    assert peak.lag_hops == pytest.approx(77, abs=1)
    assert peak.score > 8


def test_unrelated_programmes_have_no_lag_that_stands_out():
    scores = correlation_of(MASTER, track(programme(SECONDS, seed=35)))
    assert scores.plain.max() < 6
    assert scores.sharp.max() < 7.5


@pytest.mark.parametrize("thin", [2, 10])
def test_the_grid_of_longer_hops_does_not_correlate_with_itself(thin):
    scores = correlation_of(MASTER, track(programme(SECONDS, seed=36)), thin=thin)
    zero = -scores.first_lag
    assert np.abs(scores.sharp[zero - 12 : zero + 13]).max() < 6


def correlation_of(master, dub, *, thin=1):
    basis = Basis.fit([EMBEDDER.embed(one.samples) for one in (master, dub)])
    method = Ai(lambda one: every_hop(one, basis, thin))
    return correlation.score_lags(method.features(master), method.features(dub), on_dims=lambda count: None)


def test_what_a_model_says_about_silence_counts_for_nothing():
    silent = track(np.zeros(LENGTH, np.float32))
    rng = np.random.default_rng(5)
    hops = EMBEDDER.geometry.hops(LENGTH)
    chatter = Embedded(rng.standard_normal((hops, 8)).astype(np.float16), np.ones(hops, bool), 160, 256.0)
    assert not Ai(lambda one: chatter).features(silent).values.any()


def test_hops_where_the_model_was_not_run_are_zero():
    def only_the_middle(embedded):
        known = np.zeros(len(embedded.values), bool)
        known[500:1_200] = True
        return Embedded(np.where(known[:, None], embedded.values, np.nan), known, 160, embedded.first_centre)

    basis = Basis.fit([EMBEDDER.embed(MASTER.samples)])
    values = Ai(lambda one: only_the_middle(every_hop(one, basis))).features(MASTER).values
    assert not values[:, :500].any()
    assert not values[:, 1_200:].any()
    assert values[:, 600:1_100].any(axis=0).all()
    peak = best_lag(MASTER, track(shifted(MUSIC, 1.0, LENGTH)), spoil=only_the_middle)
    assert peak.lag_hops == 100


def test_embeddings_off_the_grid_are_refused():
    with pytest.raises(ValueError, match="multiple"):
        Embedded(np.zeros((4, 2), np.float16), np.ones(4, bool), 250, 125.0)


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_next_to_nothing_gives_empty_features(hops):
    short = track(MUSIC[: 512 + 160 * (hops - 1)] if hops else MUSIC[:100])
    seen = Embedded(np.ones((hops, 3), np.float16), np.ones(hops, bool), 160, 256.0)
    assert Ai(lambda one: seen).features(short).values.shape == (3, hops)


def test_a_basis_of_a_constant_embedding_gives_zeros():
    basis = Basis.fit([np.ones((50, 5), np.float32)])
    assert not basis.project(np.ones((3, 5), np.float32)).any()
