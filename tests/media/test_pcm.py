"""Packets of PCM that are decoded as one: the same samples at the same times."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sync_core.media import pcm
from tests.media.writing import Sound, bursts, write

SOURCE = bursts()


def packets_of(path: Path):
    container = av.open(str(path))
    stream = container.streams.audio[0]
    return stream, list(container.demux(stream))


def placed(stream, packets) -> NDArray[np.float64]:
    """Decode packets onto one time axis; what is missing stays NaN."""
    rate = stream.codec_context.sample_rate
    axis = np.full(round(7 * rate), np.nan)
    for packet in packets:
        for frame in stream.codec_context.decode(packet):
            if frame.pts is None:
                continue
            at = round(float(frame.pts * stream.time_base) * rate)
            samples = frame.to_ndarray().reshape(-1)[:: frame.layout.nb_channels]
            axis[at : at + samples.size] = samples
    return axis


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mov", "pcm_s16le"),
        ("a.mov", "pcm_s24le"),
        ("a.mov", "pcm_f32le"),
        ("a.mxf", "pcm_s16le"),
        ("a.wav", "pcm_u8"),
    ],
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lost=st.lists(st.integers(1, 250), max_size=12))
def test_the_same_samples_are_at_the_same_times(tmp_path: Path, name: str, codec: str, lost: list[int]) -> None:
    path = tmp_path / name
    if not path.exists():
        pictures = {} if name == "a.wav" else {"fps": Fraction(25), "video_codec": "mpeg2video"}
        write(path, Sound(SOURCE, codec), **pictures)
    stream, packets = packets_of(path)
    left = [packet for number, packet in enumerate(packets) if number not in lost]
    together = list(pcm.joined(left, stream))
    assert np.array_equal(placed(stream, left), placed(packets_of(path)[0], together), equal_nan=True)


def test_small_packets_become_one_a_second(tmp_path: Path) -> None:
    stream, packets = packets_of(write(tmp_path / "a.mov", Sound(SOURCE, "pcm_s24le"), fps=Fraction(25)))
    sizes = [packet.size for packet in pcm.joined(packets, stream)]
    assert len(packets) > 100
    assert len(sizes) <= 8
    assert sum(sizes) == sum(packet.size for packet in packets)


def test_what_is_not_pcm_is_left_alone(tmp_path: Path) -> None:
    stream, packets = packets_of(write(tmp_path / "a.m4a", Sound(SOURCE, "aac")))
    assert list(pcm.joined(packets, stream)) == packets


@pytest.mark.parametrize(
    ("codec", "size"),
    [("pcm_s16le", 4), ("pcm_s24be", 6), ("pcm_u8", 2), ("pcm_f64le", 16)]
    + [(name, 0) for name in ("pcm_s16le_planar", "pcm_s24daud", "pcm_bluray", "pcm_mulaw", "aac")],
)
def test_only_samples_of_all_channels_in_turn_are_cut_and_joined(codec: str, size: int) -> None:
    layout = SimpleNamespace(nb_channels=2)
    assert pcm.sample_bytes(SimpleNamespace(codec_context=SimpleNamespace(name=codec, layout=layout))) == size
