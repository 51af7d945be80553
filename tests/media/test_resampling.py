"""What resampling to the analysis rate keeps, and that nothing comes back folded."""

from __future__ import annotations

import numpy as np
import pytest

from sync_core.media.resample import ANALYSIS_RATE_HZ, MonoResampler

SECONDS = 1.0


def change_db(rate_hz: int, tone_hz: float) -> float:
    """How much louder a tone comes out than it went in."""
    tone = np.sin(2 * np.pi * tone_hz * np.arange(int(SECONDS * rate_hz)) / rate_hz).astype(np.float32)
    resampler = MonoResampler(rate_hz)
    out = np.concatenate([resampler.push(tone), resampler.flush()])
    inner = out[ANALYSIS_RATE_HZ // 10 : -ANALYSIS_RATE_HZ // 10]
    return float(20 * np.log10(np.std(inner) / np.std(tone)))


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("tone_hz", [80.0, 1_000.0, 6_400.0])
def test_what_is_analysed_keeps_its_level(rate_hz: int, tone_hz: float) -> None:
    assert change_db(rate_hz, tone_hz) == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("rate_hz", [22_050, 44_100, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("tone_hz", [9_600.0, 10_900.0])
def test_a_tone_too_high_does_not_come_back_folded(rate_hz: int, tone_hz: float) -> None:
    assert change_db(rate_hz, tone_hz) < -48.0
