"""Running one model for many at once: pieces that arrive together, of whatever recordings, make one batch."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sync_core.domain.errors import SyncError
from sync_core.models.embedder import PieceEmbedder
from sync_core.models.errors import DeviceBroken

LINGER_SECONDS: Final = 0.005
"""How long a batch that is not full waits for more: a small part of what a full one takes."""

Rows = NDArray[np.float32]


class DynamicBatcher:
    """Collects pieces from any number of threads and runs the model on one of its own.

    The oldest piece always goes first, with those of its length that wait beside it, so that nobody starves.

    Parameters
    ----------
    model
        What runs; only this class may use it from now on.
    on_broken
        Called once, on the model's thread, when the device failed for good; everything after that fails as well.
    """

    def __init__(
        self,
        model: PieceEmbedder,
        *,
        on_broken: Callable[[DeviceBroken], None],
        linger_seconds: float = LINGER_SECONDS,
    ) -> None:
        self._model = model
        self._on_broken = on_broken
        self._linger_seconds = linger_seconds
        self._arriving: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
        self._set_aside: deque[_Waiting] = deque()
        threading.Thread(target=self._run_for_ever, name=f"batch-{model.name}", daemon=True).start()

    @property
    def model(self) -> PieceEmbedder:
        """What runs; to be asked for its geometry, not to be run."""
        return self._model

    def submit(self, piece: NDArray[np.float32]) -> Future[Rows]:
        """Have a piece [shape=(samples,), float32] embedded; the future's result is [shape=(hops, dims), float32].

        The future fails with what `PieceEmbedder.embed_pieces` raises. One that was cancelled is not embedded.
        """
        future: Future[Rows] = Future()
        self._arriving.put(_Waiting(piece, future))
        return future

    def _run_for_ever(self) -> None:
        while True:
            self._embed([waiting for waiting in self._next_batch() if waiting.future.set_running_or_notify_cancel()])

    def _embed(self, batch: list[_Waiting]) -> None:
        if not batch:
            return
        try:
            rows = self._model.embed_pieces(np.stack([waiting.piece for waiting in batch]))
        except SyncError as error:
            for waiting in batch:
                waiting.future.set_exception(error)
            if isinstance(error, DeviceBroken):
                self._on_broken(error)
        except BaseException as error:  # noqa: BLE001  whoever waits decides; this thread serves others as well
            for waiting in batch:
                waiting.future.set_exception(error)
        else:
            for waiting, own in zip(batch, rows, strict=True):
                waiting.future.set_result(own)

    def _next_batch(self) -> list[_Waiting]:
        """Wait for a piece, then for more of its length, but not for long."""
        first = self._set_aside.popleft() if self._set_aside else self._arriving.get()
        batch, rest = [first], deque[_Waiting]()
        for waiting in self._set_aside:
            (batch if self._fits(waiting, batch) else rest).append(waiting)
        self._set_aside = rest
        ends_at = time.monotonic() + self._linger_seconds
        while len(batch) < self._model.pieces_at_once:
            try:
                waiting = self._arriving.get(timeout=max(ends_at - time.monotonic(), 0.0))
            except queue.Empty:
                break
            (batch if self._fits(waiting, batch) else self._set_aside).append(waiting)
        return batch

    def _fits(self, waiting: _Waiting, batch: list[_Waiting]) -> bool:
        return waiting.piece.size == batch[0].piece.size and len(batch) < self._model.pieces_at_once


class _Waiting:
    """A piece and the future that waits for its rows."""

    __slots__ = ("future", "piece")

    def __init__(self, piece: NDArray[np.float32], future: Future[Rows]) -> None:
        self.piece = piece
        self.future = future
