"""A model that another process runs, seen as an embedder."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sync_core.domain.methods import AiModel
from sync_core.models.embedder import Chunk, OnProgress, chunks, ignore
from sync_core.models.errors import DeviceBroken
from sync_core.pipeline import model_wire
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.framing import encode, receive_blocking

OPENING_SECONDS: Final = 300.0
"""For reading the weights and opening the device."""
ANSWER_SECONDS: Final = 60.0
"""Without an answer for that long the model's process counts as stuck."""


class RemoteEmbedder:
    """Sends pieces of a recording to the process that runs the model, twice as many ahead as that takes at once.

    Make one with `connected`, for one thread.
    """

    def __init__(self, connection: socket.socket, opened: model_wire.Opened) -> None:
        self._connection = connection
        self._chunk_hops = opened.chunk_hops
        self._ahead = 2 * opened.pieces_at_once
        self.name = opened.name
        self.geometry = opened.geometry
        self.dims = opened.dims
        self.device = opened.device
        self.precision = opened.precision

    @classmethod
    @contextmanager
    def connected(cls, server: Path, model: AiModel, settings: AiSettings) -> Iterator[RemoteEmbedder]:
        """Have the process that listens at `server` open a model; leaving drops what it has not done yet.

        Raises
        ------
        ModelUnusable, DeviceFull
            As opening it does there.
        DeviceBroken
            If the device failed for good, or the process ended or is stuck: it must be replaced.
        """
        with socket.socket(socket.AF_UNIX) as connection, _told_as_broken(settings.device):
            connection.settimeout(OPENING_SECONDS)
            connection.connect(str(server))
            connection.sendall(encode(model_wire.Open(model, settings)))
            opened = _unwrapped(receive_blocking(connection))
            assert isinstance(opened, model_wire.Opened)
            connection.settimeout(ANSWER_SECONDS)
            yield cls(connection, opened)

    def embed(self, samples: NDArray[np.float32], *, on_progress: OnProgress = ignore) -> NDArray[np.float32]:
        """Embed a recording; see `Embedder.embed`.

        Raises
        ------
        DeviceFull
            If not even one piece fits into the device's memory.
        """
        hops = self.geometry.hops(samples.size)
        out = np.zeros((hops, self.dims), np.float32)
        sent: deque[Chunk] = deque()
        pieces = chunks(samples.size, self.geometry, chunk_hops=self._chunk_hops)
        for chunk in pieces:
            self._connection.sendall(encode(model_wire.Piece(np.asarray(samples[chunk.samples], np.float32))))
            sent.append(chunk)
            if len(sent) >= self._ahead:
                self._receive(sent.popleft(), out, on_progress)
        while sent:
            self._receive(sent.popleft(), out, on_progress)
        return out

    def _receive(self, chunk: Chunk, out: NDArray[np.float32], on_progress: OnProgress) -> None:
        answer = _unwrapped(receive_blocking(self._connection))
        assert isinstance(answer, model_wire.Rows)
        out[chunk.hops] = answer.rows[chunk.keep]
        on_progress(chunk.hops.stop / len(out))


def _unwrapped(message: object) -> object:
    """Raise what the other process met."""
    match message:
        case model_wire.Refused(error):
            raise error
        case model_wire.ServerBug(traceback):
            raise RuntimeError(traceback)
        case _:
            return message


@contextmanager
def _told_as_broken(device: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise DeviceBroken(f"the process that runs the models on {device} gives no answer; it is replaced") from error
    except (EOFError, ConnectionError, FileNotFoundError) as error:
        raise DeviceBroken(f"the process that runs the models on {device} has ended; it is replaced") from error
