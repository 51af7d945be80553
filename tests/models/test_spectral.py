"""The embedding that needs no weights: where its hops are, and what must not move it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from sync_core.models.embedder import SAMPLE_RATE_HZ, Geometry, chunks
from sync_core.models.spectral import SpectralEmbedder
from tests.analysis.signals import programme

EMBEDDER = SpectralEmbedder()
SOUND = programme(12.0, seed=21)


@pytest.mark.parametrize("samples", [0, 1, 511, 512, 671, 672, 48_000])
def test_hops_are_those_that_lie_wholly_inside(samples):
    embedding = EMBEDDER.embed(SOUND[:samples])
    assert embedding.shape == (EMBEDDER.geometry.hops(samples), EMBEDDER.dims)
    assert embedding.dtype == np.float32


@pytest.mark.parametrize("at", [8_000, 8_077, 15_999])
def test_a_click_is_seen_around_the_hop_that_is_centred_on_it(at):
    bed = 0.01 * np.random.default_rng(3).standard_normal(2 * SAMPLE_RATE_HZ).astype(np.float32)
    clicked = bed.copy()
    clicked[at] += 5.0
    moved = np.square(EMBEDDER.embed(clicked) - EMBEDDER.embed(bed)).sum(axis=1)
    near = np.flatnonzero(moved > moved.max() / 20)
    centroid = np.average(near, weights=moved[near])
    assert EMBEDDER.geometry.centre_sample(0) + centroid * EMBEDDER.geometry.hop_samples == pytest.approx(at, abs=80)


def test_pieces_give_what_the_whole_gives():
    long = np.tile(SOUND, 6)
    whole, part = EMBEDDER.embed(long), EMBEDDER.embed(long[: 40 * SAMPLE_RATE_HZ])
    inside = len(part) - EMBEDDER.geometry.margin_hops
    assert len(whole) > 2 * 3_000 > inside > 3_000
    np.testing.assert_allclose(part[:inside], whole[:inside], atol=1e-4)


@pytest.mark.parametrize("gain", [0.1, 0.5, 20.0, -1.0])
def test_gain_moves_nothing(gain):
    np.testing.assert_allclose(EMBEDDER.embed(np.float32(gain) * SOUND), EMBEDDER.embed(SOUND), atol=0.05)


def test_silence_is_zero():
    assert not EMBEDDER.embed(np.zeros(SAMPLE_RATE_HZ, np.float32)).any()


def test_progress_ends_at_one_and_raising_stops():
    seen: list[float] = []
    EMBEDDER.embed(np.tile(SOUND, 6), on_progress=seen.append)
    assert len(seen) == 3
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def stop(fraction: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        EMBEDDER.embed(SOUND, on_progress=stop)


def test_chunks_keep_every_hop_once_and_away_from_their_margins():
    geometry = Geometry(hop_samples=160, window_samples=512, first_centre=256.0, margin_hops=7)
    samples = 160 * 95 + 512
    pieces = list(chunks(samples, geometry, chunk_hops=25))
    kept = [hop for piece in pieces for hop in range(piece.hops.start, piece.hops.stop)]
    assert kept == list(range(96))
    for piece in pieces:
        size = geometry.hops(piece.samples.stop - piece.samples.start)
        assert piece.keep.start == 7 or piece.hops.start == 0
        assert piece.keep.stop == size - 7 or piece.hops.stop == 96
        assert piece.samples.stop <= samples


def test_it_runs_without_torch():
    code = (
        "import sys; from sync_core.models.spectral import SpectralEmbedder;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
