"""Decoding a long file in a process of its own.

Decoders give frames of a few milliseconds, each a few calls of Python. Two files on two threads of one interpreter
spend a third of the time of both on handing its lock to and fro; two processes don't.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from sync_core.analysis.track import open_track
from sync_core.domain.errors import DecoderCrashed
from sync_core.domain.result import MediaInfo
from sync_core.pipeline.decoder_process import DecoderProcess
from sync_core.pipeline.framing import encode, receive_blocking
from sync_core.pipeline.load_track import Loaded, LoadOrder, Stopped

_TICK_SECONDS = 0.25
STALL_SECONDS = 60.0
"""Without a report for that long the process counts as stuck."""


@dataclass(frozen=True, slots=True)
class DecodedRow:
    """Of a track whose samples lie in its spool files, the rest."""

    name: str
    start_seconds: float
    non_finite_count: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """From the process: what `Loaded` holds but for the samples; the mix is the first row."""

    rows: tuple[DecodedRow, ...]
    info: MediaInfo
    silent: bool


@dataclass(frozen=True, slots=True)
class Undecoded:
    """From the process: the error that it met."""

    error: Exception


def load_apart(
    order: LoadOrder,
    is_over: Callable[[], bool],
    on_fraction: Callable[[float], None],
    decoder: DecoderProcess | None = None,
) -> Loaded:
    """Decode a file in another process; as `load_track`, whose errors it passes on.

    Parameters
    ----------
    decoder
        That process, which was started ahead and is ended by whoever did that; None: one is started now.

    Raises
    ------
    DecoderCrashed
        If that process died over it, or is stuck.
    """
    if decoder is None:
        with DecoderProcess() as started:
            return load_apart(order, is_over, on_fraction, started)
    try:
        decoder.connection.sendall(encode(order))
        return _opened(order, _outcome(decoder.connection, is_over, on_fraction))
    except (EOFError, ConnectionError) as error:
        raise _crashed(order, decoder.ending()) from error
    except TimeoutError as error:
        raise _crashed(order, f"gave no sign of progress for {STALL_SECONDS:g} s, and was ended") from error


def _outcome(connection: socket.socket, is_over: Callable[[], bool], on_fraction: Callable[[float], None]) -> Decoded:
    while True:
        _wait(connection, is_over)
        match receive_blocking(connection):
            case float(fraction):
                on_fraction(fraction)
            case Undecoded(error):
                raise error
            case Decoded() as decoded:
                on_fraction(1.0)
                return decoded


def _wait(connection: socket.socket, is_over: Callable[[], bool]) -> None:
    """Wait for the next message, or the end of the process."""
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(connection, selectors.EVENT_READ)
        while not is_over():
            if selector.select(_TICK_SECONDS):
                return
            if time.monotonic() - began > STALL_SECONDS:
                raise TimeoutError
    raise Stopped


def _opened(order: LoadOrder, decoded: Decoded) -> Loaded:
    (_, mix), *singles = [
        (row.name, open_track(order.row_spool(index), row.start_seconds, row.non_finite_count))
        for index, row in enumerate(decoded.rows)
    ]
    return Loaded(mix, tuple(singles), decoded.info, decoded.silent)


def _crashed(order: LoadOrder, how: str) -> DecoderCrashed:
    return DecoderCrashed(f"{order.source.ref} could not be decoded: the process doing it {how}")
