"""Embedding both tracks of a pair: whole where that is cheap, and otherwise the windows that tell most, best first.

Without a GPU the large models run at about the speed of the sound, or slower. So windows of the dub are taken in an
order in which every beginning is spread evenly over it, each with the windows of the master where coarse candidates put
it and one of an even sample of the master, until the budget is spent. If it lasts, everything has been embedded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sync_core.analysis.methods.ai import Ai, Basis, Embedded
from sync_core.analysis.track import Track
from sync_core.models.embedder import Chunk, Embedder, Geometry, chunks

WINDOW_SECONDS: Final = 10.0
"""Of sound at a time where a budget counts."""
SPAN_SECONDS: Final = 300.0
"""Of sound at a time where it doesn't: bounds what is held of embeddings before they are projected."""

_BASIS_WINDOWS: Final = 12
_NOMINAL_RMS: Final = 0.05
"""-26 dB of full scale; models that hear levels hear every file at this one."""
_LEVEL_BLOCK: Final = 1_000_000

OnProgress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of both recordings a model was run on, seconds, and whether that is all."""

    master_seconds: float
    dub_seconds: float
    whole: bool


class Canvas:
    """What is known of one track's embedding so far."""

    def __init__(self, track: Track, embedder: Embedder, *, window_seconds: float) -> None:
        self.track = track
        self.geometry: Geometry = embedder.geometry
        per_window = max(round(window_seconds / self.geometry.hop_seconds), 1)
        self.windows = list(chunks(track.samples.size, self.geometry, chunk_hops=per_window))
        self.window_seconds = per_window * self.geometry.hop_seconds
        self._embedder = embedder
        self._gain = _gain(track.samples)
        self._known = np.zeros(self.geometry.hops(track.samples.size), bool)
        self._values: NDArray[np.float16] | None = None

    @property
    def known_seconds(self) -> float:
        return float(np.count_nonzero(self._known)) * self.geometry.hop_seconds

    def embed(self, window: Chunk, on_progress: OnProgress) -> NDArray[np.float32]:
        """Run the model on one window [shape=(n_hops, n_dims), float32]."""
        samples = np.asarray(self.track.samples[window.samples]) * self._gain
        return self._embedder.embed(samples, on_progress=on_progress)[window.keep]

    def paint(self, window: Chunk, rows: NDArray[np.float16]) -> None:
        """Keep a window's coordinates."""
        if self._values is None:
            self._values = np.zeros((self._known.size, rows.shape[1]), np.float16)
        self._values[window.hops] = rows
        self._known[window.hops] = True

    def embedded(self) -> Embedded:
        """Hand over what is known."""
        values = self._values if self._values is not None else np.zeros((self._known.size, 1), np.float16)
        return Embedded(values, self._known, self.geometry.hop_samples, self.geometry.first_centre)


def embed_pair(
    embedder: Embedder,
    master: Track,
    dub: Track,
    *,
    lags_seconds: Sequence[float] = (),
    budget_seconds: float | None = None,
    on_progress: OnProgress,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Ai, Coverage]:
    """Embed two tracks for the `ai` method.

    Parameters
    ----------
    lags_seconds
        Coarse candidates, best first: sample times with `master = dub + lag`. Only where they are looked at first.
    budget_seconds
        Time after which no further window is begun; None: whole tracks.
    on_progress
        Called with the fraction done after every piece that the embedder tells of.
    clock
        Seconds that only rise.

    Returns
    -------
    method, coverage
        The method knows these two tracks and no others.
    """
    seconds = SPAN_SECONDS if budget_seconds is None else WINDOW_SECONDS
    sides = Canvas(master, embedder, window_seconds=seconds), Canvas(dub, embedder, window_seconds=seconds)
    order = [(side, sides[side].windows[index]) for side, index in window_order(*sides, lags_seconds)]
    _paint(sides, order, budget_seconds, on_progress, clock)
    by_track = {id(canvas.track): canvas.embedded() for canvas in sides}
    whole = sum(canvas.known_seconds for canvas in sides) >= 0.999 * sum(
        canvas.geometry.hops(canvas.track.samples.size) * canvas.geometry.hop_seconds for canvas in sides
    )
    return Ai(lambda track: by_track[id(track)]), Coverage(sides[0].known_seconds, sides[1].known_seconds, whole)


def _paint(
    sides: tuple[Canvas, Canvas],
    order: Sequence[tuple[int, Chunk]],
    budget_seconds: float | None,
    on_progress: OnProgress,
    clock: Callable[[], float],
) -> None:
    """Run the model window by window; the first few, which fit the basis, are projected together."""
    ends_at = None if budget_seconds is None else clock() + budget_seconds
    waiting: list[tuple[int, Chunk, NDArray[np.float32]]] = []
    basis: Basis | None = None
    for done, (side, window) in enumerate(order):
        if ends_at is not None and clock() >= ends_at and done > 1:
            break
        begin, share = done / len(order), 1.0 / len(order)
        rows = sides[side].embed(window, lambda part, at=begin, of=share: on_progress(at + of * part))  # type: ignore[misc]
        if basis is None:
            waiting.append((side, window, rows))
            if len(waiting) < min(_BASIS_WINDOWS, len(order)):
                continue
            basis = _settle(sides, waiting)
        else:
            sides[side].paint(window, basis.project(rows))
    if basis is None and waiting:
        _settle(sides, waiting)
    on_progress(1.0)


def _settle(sides: tuple[Canvas, Canvas], waiting: Sequence[tuple[int, Chunk, NDArray[np.float32]]]) -> Basis:
    basis = Basis.fit([rows for _, _, rows in waiting])
    for side, window, rows in waiting:
        sides[side].paint(window, basis.project(rows))
    return basis


def window_order(master: Canvas, dub: Canvas, lags_seconds: Sequence[float]) -> list[tuple[int, int]]:
    """Order all windows of both tracks, those that tell most first [(0 master | 1 dub, index), ...]."""
    spread_master = spread(len(master.windows))
    order: dict[tuple[int, int], None] = {}
    for index in spread(len(dub.windows)):
        order[1, index] = None
        for lag in lags_seconds:
            order.update({(0, hit): None for hit in _hits(master, index * dub.window_seconds + lag)})
        order.update({(0, hit): None for hit in (next(spread_master, None),) if hit is not None})
    order.update({(0, index): None for index in spread_master})
    return list(order)


def _hits(master: Canvas, begin_seconds: float) -> list[int]:
    """Windows of the master that a dub window meets which begins there."""
    first = int(np.floor(begin_seconds / master.window_seconds))
    return [index for index in (first, first + 1) if 0 <= index < len(master.windows)]


def spread(count: int) -> Iterator[int]:
    """Yield 0 to count - 1 in an order whose every beginning is spread evenly (van der Corput's).

    Examples
    --------
    >>> list(spread(6))
    [0, 4, 2, 1, 5, 3]
    """
    bits = max(count - 1, 0).bit_length()
    for number in range(1 << bits):
        turned = int(format(number, f"0{bits}b")[::-1], 2) if bits else 0
        if turned < count:
            yield turned


def _gain(samples: NDArray[np.float32]) -> np.float32:
    """Factor that brings a recording to the nominal level; 1 for silence."""
    total = 0.0
    for start in range(0, samples.size, _LEVEL_BLOCK):
        block = np.asarray(samples[start : start + _LEVEL_BLOCK])
        total += float(np.dot(block, block))
    rms = float(np.sqrt(total / max(samples.size, 1)))
    return np.float32(_NOMINAL_RMS / rms if rms > 1e-6 else 1.0)
