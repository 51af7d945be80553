"""Seconds as video frames and SMPTE timecode, at exact rates.

Rates are fractions such as `30000/1001`, never 29.97: the decimal is off by 2.6 frames a day. Drop-frame timecode
(SMPTE ST 12-1) leaves out *labels*, not frames: at the start of each minute but every tenth, so that the label keeps to
the clock.
"""

from __future__ import annotations

from fractions import Fraction

_DROP_FRAME_NOMINALS = (30, 60, 120)
_MINUTES_BETWEEN_FULL = 10


def frame_count(seconds: float, rate: Fraction) -> float:
    """Count the video frames, with fractions of one, that a time holds; negative for a negative time.

    Examples
    --------
    >>> frame_count(-0.5, Fraction(25))
    -12.5
    """
    return float(Fraction(seconds) * rate)


def has_drop_frame(rate: Fraction) -> bool:
    """Tell whether drop-frame timecode is defined at a rate: 29.97 and its multiples."""
    return rate in [Fraction(nominal * 1000, 1001) for nominal in _DROP_FRAME_NOMINALS]


def timecode(seconds: float, rate: Fraction, *, drop_frame: bool | None = None) -> str:
    """Write a time as timecode, to the nearest frame.

    Parameters
    ----------
    seconds
        May be negative; the timecode then begins with a minus sign.
    drop_frame
        True or False as the programme counts; None: drop-frame wherever it is defined.

    Returns
    -------
    timecode
        `HH:MM:SS:FF`, or `HH:MM:SS;FF` for drop-frame. Hours do not wrap at 24.

    Raises
    ------
    ValueError
        If drop-frame is asked for at a rate that has none, or the rate is not positive.

    Examples
    --------
    >>> timecode(-15.023, Fraction(25))
    '-00:00:15:01'
    >>> timecode(60.06, Fraction(30000, 1001))
    '00:01:00;02'
    """
    if rate <= 0:
        raise ValueError(f"a frame rate of {rate} is not positive")
    drops = has_drop_frame(rate) if drop_frame is None else drop_frame
    if drops and not has_drop_frame(rate):
        raise ValueError(f"there is no drop-frame timecode at {rate} frames per second")
    frame = round(Fraction(seconds) * rate)
    sign = "-" if frame < 0 else ""
    return sign + frame_label(abs(frame), _nominal(rate), drop_frame=drops)


def frame_label(frame: int, nominal: int, *, drop_frame: bool) -> str:
    """Write the timecode label of frame number `frame`, counted from 0, at a nominal rate such as 30."""
    shown = frame + _labels_left_out(frame, nominal) if drop_frame else frame
    seconds, frames = divmod(shown, nominal)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{';' if drop_frame else ':'}{frames:02d}"


def _nominal(rate: Fraction) -> int:
    return max(round(rate), 1)


def _labels_left_out(frame: int, nominal: int) -> int:
    """Count the labels that drop-frame has left out before a frame: 2 per dropping minute at 30, 4 at 60, 8 at 120."""
    dropped = nominal // 15
    full_minute = nominal * 60
    short_minute = full_minute - dropped
    tens, rest = divmod(frame, full_minute + (_MINUTES_BETWEEN_FULL - 1) * short_minute)
    minutes = 0 if rest < full_minute else 1 + (rest - full_minute) // short_minute
    return dropped * ((_MINUTES_BETWEEN_FULL - 1) * tens + minutes)
