"""The mix: no single bad channel may spoil it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from sync_core.domain.errors import NoAudio
from sync_core.media.decode import AudioReader
from sync_core.media.mixing import Mixer
from tests.media.writing import RATE_HZ, Sound, bursts, joined, lateness_seconds, write

SOURCE = bursts()
OTHER = bursts(seed=1)
SURROUND = ("FL", "FR", "FC", "LFE", "BL", "BR")


def mixed(channels: tuple[str, ...], *planes: NDArray[np.float32], block: int = RATE_HZ) -> NDArray[np.float32]:
    mixer, stacked = Mixer(channels), np.vstack(planes)
    return np.concatenate([mixer.mix(stacked[:, at : at + block]) for at in range(0, stacked.shape[1], block)])


def likeness(mix: NDArray[np.float32], source: NDArray[np.float32] = SOURCE) -> float:
    return float(np.corrcoef(mix, source)[0, 1])


def test_equal_channels_keep_their_level() -> None:
    assert mixed(("FL", "FR"), SOURCE, SOURCE) == pytest.approx(SOURCE, abs=1e-6)


def test_an_inverted_channel_does_not_cancel() -> None:
    assert abs(likeness(mixed(("FL", "FR"), SOURCE, -SOURCE))) > 0.999
    assert abs(likeness(mixed(("FL", "FR"), SOURCE, -0.999 * SOURCE + 0.001 * OTHER))) > 0.999


def test_the_polarity_of_the_mix_stays() -> None:
    uneven = np.where(np.arange(SOURCE.size) // RATE_HZ % 2 == 0, 0.9, 1.1).astype(np.float32)
    mix = mixed(("FL", "FR"), uneven * SOURCE, -SOURCE)
    assert abs(likeness(mix)) > 0.99


@pytest.mark.parametrize("dead", [np.zeros_like(SOURCE), 1e-3 * OTHER, np.full_like(SOURCE, 1e-4)])
def test_a_dead_channel_leaves_the_other_alone(dead: NDArray[np.float32]) -> None:
    assert likeness(mixed(("FL", "FR"), SOURCE, dead)) > 0.999
    assert likeness(mixed(("FL", "FR"), dead, SOURCE)) > 0.999


def test_a_channel_that_comes_alive_inverted_does_not_cancel() -> None:
    late = np.where(np.arange(SOURCE.size) < 3 * RATE_HZ, 0.0, -SOURCE).astype(np.float32)
    second_half = slice(4 * RATE_HZ, None)
    mix = mixed(("FL", "FR"), SOURCE, late)
    assert np.std(mix[second_half]) > 0.5 * np.std(SOURCE[second_half])
    assert likeness(mix) > 0.9


def test_independent_channels_are_both_in_the_mix() -> None:
    mix = mixed(("FL", "FR"), SOURCE, OTHER)
    assert likeness(mix, SOURCE + OTHER) > 0.999


def test_an_inverted_surround_and_a_loud_centre_leave_the_music() -> None:
    mix = mixed(SURROUND, SOURCE, SOURCE, OTHER, 0 * SOURCE, -SOURCE, SOURCE)
    assert abs(likeness(mix)) > 0.98


def test_an_lfe_is_used_only_if_there_is_nothing_else() -> None:
    silent = 0 * SOURCE
    assert likeness(mixed(SURROUND, silent, silent, silent, SOURCE, silent, silent)) > 0.999
    assert likeness(mixed(SURROUND, SOURCE, silent, silent, 5 * OTHER, silent, silent)) > 0.999


def test_a_channel_that_was_asked_for_is_taken_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([OTHER, SOURCE], 1), RATE_HZ)
    with AudioReader(path, "a.wav", channel=1) as reader:
        assert reader.info.channel == "ch:1"
        decoded = joined(reader.blocks())
    assert decoded.shape[0] == 1
    assert lateness_seconds(decoded[0], SOURCE) == pytest.approx(0.0, abs=5e-5)
    with pytest.raises(NoAudio, match=r"a\.wav has no channel 2: it has 2, counted from 0"):
        AudioReader(path, "a.wav", channel=2)


def test_every_channel_can_have_a_row_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    shifted = np.roll(SOURCE, 4_800)
    sf.write(path, np.stack([SOURCE, shifted, OTHER], 1), RATE_HZ)
    with AudioReader(path, "a.wav", per_channel=True) as reader:
        assert len(reader.channels) == 3
        rows = joined(reader.blocks())
    assert rows.shape[0] == 4
    assert lateness_seconds(rows[1], SOURCE) == pytest.approx(0.0, abs=5e-5)
    assert lateness_seconds(rows[2], SOURCE) == pytest.approx(0.1, abs=5e-5)


@pytest.mark.parametrize("layout", ["7.1", "FL+FR+FC+LFE+BL+BR+DL+DR"])
def test_eight_channels_in_a_mov(tmp_path: Path, layout: str) -> None:
    planes = np.vstack([SOURCE if index != 3 else 0 * SOURCE for index in range(8)])
    path = write(tmp_path / "a.mov", Sound(planes, "pcm_s24le", layout=layout))
    with AudioReader(path, "a.mov") as reader:
        assert reader.info.channels == 8
        decoded = joined(reader.blocks())[0]
    assert lateness_seconds(decoded, SOURCE) == pytest.approx(0.0, abs=5e-5)


def test_sixty_four_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    sf.write(path, np.stack([SOURCE * (1 - 2 * (index % 2)) for index in range(64)], 1), RATE_HZ, format="RF64")
    with AudioReader(path, "a.wav") as reader:
        decoded = joined(reader.blocks())[0]
    assert np.std(decoded) == pytest.approx(np.std(SOURCE), rel=0.05)
    assert lateness_seconds(decoded, SOURCE) == pytest.approx(0.0, abs=5e-5)
