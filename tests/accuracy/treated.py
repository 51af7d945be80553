"""Families in which the dub lies at one offset: what was done to its sound varies."""

from __future__ import annotations

import numpy as np
from scipy import signal

from tests.accuracy.cases import Case, Ground, ground, simple
from tests.accuracy.level import SR, db, rms
from tests.accuracy.timing import cut, varispeed


def same_language(lib, rng, i, scale):
    g = ground(lib, rng, scale, dubbed=False)
    gain = float(rng.uniform(-20, 0))
    return simple(
        g,
        "padded" if g.padded else "trimmed",
        dub=g.dub() * np.float32(db(gain)),
        tolerance=5e-5,
        notes=f"dub gain {gain:.1f} dB",
    )


CODECS = {
    "aac96k": {"suffix": ".m4a", "args": ["-c:a", "aac", "-b:a", "96k"]},
    "mp3_64k": {"suffix": ".mp3", "args": ["-c:a", "libmp3lame", "-b:a", "64k"]},
    "opus48k": {"suffix": ".opus", "args": ["-c:a", "libopus", "-b:a", "48k"]},
    "ac3_192k": {"suffix": ".ac3", "args": ["-c:a", "ac3", "-b:a", "192k"]},
}


def codec(lib, rng, i, scale):
    name = list(CODECS)[i % len(CODECS)]
    g = ground(lib, rng, scale, dubbed=(i // len(CODECS)) % 2 == 1, level=-6.0)
    return simple(g, name, dub_format={"encode": CODECS[name]}, tolerance=2e-4)


def dub_language(lib, rng, i, scale):
    level = (0.0, -6.0, -12.0, -18.0)[i % 4]
    seconds = 600.0 if scale == "full" and i % 12 == 9 else None
    g = ground(lib, rng, scale, dubbed=True, level=level, seconds=seconds)
    return simple(g, f"me{level:+.0f}dB", tolerance=5e-5)


def _remix(g: Ground, rng, tilt: bool = True) -> None:
    """Treat the dub's M&E as another studio would: other fader moves, other tone, other level.

    Changes the programme's M&E in place, so the master has to be rendered before.
    """
    me = g.programme.me
    knots = np.arange(0, me.shape[0] / SR + 6, 4.0)
    ride = np.interp(np.arange(me.shape[0]) / SR, knots, rng.uniform(-6, 4, knots.size))
    me *= (10 ** (ride / 20)).astype(np.float32)[:, None]
    if tilt:
        low, high = (
            signal.butter(1, 700, "lowpass", fs=SR, output="sos"),
            signal.butter(1, 700, "highpass", fs=SR, output="sos"),
        )
        turn = float(rng.uniform(3, 9) * rng.choice([-1, 1]))
        me[:] = (
            signal.sosfiltfilt(low, me, axis=0) * db(turn) + signal.sosfiltfilt(high, me, axis=0) * db(-turn)
        ) * 0.5


def _compress(audio: np.ndarray, threshold_db: float = -36.0, ratio: float = 5.0) -> np.ndarray:
    """Feed-forward compressor without look-ahead, made up to a 0.9 peak."""
    level = np.sqrt(signal.lfilter([0.002], [1, -0.998], np.square(audio.mean(axis=1)).astype(np.float64))) + 1e-6
    over = np.maximum(20 * np.log10(level) - threshold_db, 0.0)
    out = audio * (10 ** (-over * (1 - 1 / ratio) / 20)).astype(np.float32)[:, None]
    return out * np.float32(0.9 / max(np.abs(out).max(), 1e-9))


def dub_hard(lib, rng, i, scale):
    """Dubs as they come: faint or re-mixed M&E, with codec, drift and compression on top."""
    kind = (
        "me-24dB",
        "me-30dB",
        "remixed_me-12dB",
        "remixed_me-18dB_aac64k",
        "remixed_me-12dB_+60ppm_opus",
        "dull_mono_me-15dB_noise",
        "me-30dB_masked",
    )[i % 7]
    level = {0: -24.0, 1: -30.0, 2: -12.0, 3: -18.0, 4: -12.0, 5: -15.0, 6: -30.0}[i % 7]
    seconds = 600.0 if scale == "full" and i % 4 == 3 else None
    g = ground(lib, rng, scale, dubbed=True, level=level, seconds=seconds)
    master, speed, fmt = g.master(), 1.0, {}
    if "remixed" in kind:
        _remix(g, rng)
    if "dull" in kind:
        sos = signal.butter(2, 2500, "lowpass", fs=SR, output="sos")
        g.programme.me[:] = signal.sosfiltfilt(sos, g.programme.me, axis=0).mean(axis=1, keepdims=True)
    dub = g.dub()
    if "remixed" in kind:
        dub = _compress(dub)
    if "ppm" in kind:
        speed = 1 + 60e-6
        dub, fmt = varispeed(dub, speed), {"encode": CODECS["opus48k"]}
    if "aac64k" in kind:
        fmt = {"encode": {"suffix": ".m4a", "args": ["-c:a", "aac", "-b:a", "64k"]}}
    if "noise" in kind:
        dub = dub + rng.normal(0, rms(dub) * db(-25), dub.shape).astype(np.float32)
    if "masked" in kind:  # noise as loud as the M&E, also where nobody speaks
        dub = dub + rng.normal(0, rms(g.programme.me), dub.shape).astype(np.float32)
    dub *= np.float32(min(1.0, 0.95 / max(np.abs(dub).max(), 1e-9)))
    return Case(
        master,
        dub,
        g.offset,
        kind,
        speed=speed,
        languages=("en", g.lang),
        me_level_db=level,
        dub_format=fmt,
        tolerance=2e-4,
    )


def noise(lib, rng, i, scale):
    snr = (20.0, 10.0, 5.0, 0.0)[i % 4]
    g = ground(lib, rng, scale, dubbed=i % 2 == 1)
    dub = g.dub()
    white = rng.standard_normal(dub.shape).astype(np.float32)
    pink = signal.lfilter(
        [0.049922, -0.095993, 0.050612, -0.004408], [1, -2.494956, 2.017265, -0.522189], white, axis=0
    ).astype(np.float32)
    dub = dub + pink * np.float32(rms(dub) / rms(pink) / db(snr))
    dub *= np.float32(min(1.0, 0.95 / np.abs(dub).max()))
    return simple(g, f"pink_snr{snr:.0f}dB", dub=dub)


def eq(lib, rng, i, scale):
    shapes = {
        "telephone": signal.butter(4, (300, 3400), "bandpass", fs=SR, output="sos"),
        "muffled": signal.butter(2, 2000, "lowpass", fs=SR, output="sos"),
        "thin": signal.butter(2, 800, "highpass", fs=SR, output="sos"),
    }
    name = list(shapes)[i % 3]
    g = ground(lib, rng, scale, dubbed=i % 2 == 1)
    # zero-phase, so that the truth stays exact
    dub = signal.sosfiltfilt(shapes[name], g.dub(), axis=0).astype(np.float32)
    return simple(g, name, dub=dub * np.float32(min(1.0, 0.95 / max(np.abs(dub).max(), 1e-9))))


def drc(lib, rng, i, scale):
    g = ground(lib, rng, scale, dubbed=i % 2 == 1)
    return simple(g, "compressor_5to1", dub=_compress(g.dub()))


def samplerate(lib, rng, i, scale):
    rate = (44_100, 32_000, 96_000)[i % 3]
    g = ground(lib, rng, scale, dubbed=i % 2 == 1)
    return simple(g, f"dub_{rate}", dub_format={"rate": rate, "subtype": "PCM_24"})


def channels(lib, rng, i, scale):
    name = ("mono", "5.1", "left_only", "5.1_master")[i % 4]
    g = ground(lib, rng, scale, dubbed=i % 2 == 1 or "5.1" in name)
    master, dub = g.master(), g.dub()
    if name == "mono":
        dub = dub.mean(axis=1, keepdims=True)
    elif name == "left_only":
        dub[:, 1] = 0
    else:
        surround = cut(
            g.programme.mix_51("en" if "master" in name else g.lang),
            g.start + (0.0 if "master" in name else g.offset),
            g.seconds,
        )
        master, dub = (surround, dub) if "master" in name else (master, surround)
    return Case(master, dub, g.offset, name, languages=("en", g.lang), me_level_db=g.level)


def polarity(lib, rng, i, scale):
    g = ground(lib, rng, scale, dubbed=i % 2 == 1)
    return simple(g, "inverted", dub=-g.dub(), tolerance=5e-5)


CONTAINERS = {
    "mov_prores_pcm24_5.1": {
        "suffix": ".mov",
        "video": ["-c:v", "prores_ks", "-profile:v", "0"],
        "args": ["-c:a", "pcm_s24le"],
        "surround": True,
    },
    "mov_prores_pcm24": {
        "suffix": ".mov",
        "video": ["-c:v", "prores_ks", "-profile:v", "0"],
        "args": ["-c:a", "pcm_s24le"],
    },
    "mp4_mjpeg_aac": {
        "suffix": ".mp4",
        "video": ["-c:v", "mjpeg", "-q:v", "20"],
        "args": ["-c:a", "aac", "-b:a", "128k"],
    },
    "mkv_mjpeg_ac3": {
        "suffix": ".mkv",
        "video": ["-c:v", "mjpeg", "-q:v", "20"],
        "args": ["-c:a", "ac3", "-b:a", "192k"],
    },
}


def container(lib, rng, i, scale):
    name = list(CONTAINERS)[i % len(CONTAINERS)]
    g = ground(lib, rng, scale, dubbed=True, level=-6.0, largest=20.0)
    master, dub = g.master(), g.dub()
    if CONTAINERS[name].get("surround"):
        master = cut(g.programme.mix_51("en"), g.start, g.seconds)
        dub = cut(g.programme.mix_51(g.lang), g.start + g.offset, g.seconds)
    prores = CONTAINERS["mov_prores_pcm24"] if "mp4" in name or "mkv" in name else CONTAINERS[name]
    return Case(
        master,
        dub,
        g.offset,
        name,
        languages=("en", g.lang),
        me_level_db=g.level,
        tolerance=2e-4,
        master_format={"encode": prores},
        dub_format={"encode": CONTAINERS[name]},
    )
