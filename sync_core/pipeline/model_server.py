"""The process that runs the models on a GPU for all children of a worker: one context, one copy of the weights.

Run as `python -m sync_core.pipeline.model_server FD PARENT_PID`, FD being a listening Unix socket. Pieces that come in
together make one batch, whichever items they are of. It ends with its parent, and when its device fails for good.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Final

import sync_core.pipeline.numeric_runtime  # isort: skip  # noqa: F401  must come before numpy

from sync_core.domain.errors import SyncError
from sync_core.domain.methods import AiModel
from sync_core.models.batching import DynamicBatcher, Rows
from sync_core.models.directory import ModelDirectory
from sync_core.models.embedder import PieceEmbedder
from sync_core.models.errors import DeviceBroken
from sync_core.models.opening import open_network
from sync_core.pipeline import model_wire
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.framing import encode, receive_blocking
from sync_core.pipeline.with_parent import end_with_parent

log = logging.getLogger(__name__)

_FAREWELL_SECONDS: Final = 1.0
"""For telling everybody who waits that the device is broken, before the process ends."""


def main() -> None:
    """Serve until the parent ends or the device fails for good."""
    listening = socket.socket(fileno=int(sys.argv[1]))
    end_with_parent(int(sys.argv[2]))
    broken = threading.Event()
    threading.Thread(target=_accept, args=(listening, Models(broken)), daemon=True).start()
    broken.wait()
    time.sleep(_FAREWELL_SECONDS)
    os._exit(1)


def _accept(listening: socket.socket, models: Models) -> None:
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=_serve, args=(connection, models), daemon=True).start()


class Models:
    """The models that are open, each with the batcher that runs it.

    Parameters
    ----------
    broken
        Set when the device failed for good.
    """

    def __init__(self, broken: threading.Event) -> None:
        self._broken = broken
        self._lock = threading.Lock()
        self._open: dict[tuple[AiModel, AiSettings], DynamicBatcher] = {}

    def open(self, model: AiModel, settings: AiSettings) -> DynamicBatcher:
        """Open a model, once.

        Raises
        ------
        ModelUnusable, DeviceFull, DeviceBroken
            As opening it does.
        """
        with self._lock:
            if (model, settings) not in self._open:
                self._open[model, settings] = DynamicBatcher(self._load(model, settings), on_broken=self._give_up)
            return self._open[model, settings]

    def _load(self, model: AiModel, settings: AiSettings) -> PieceEmbedder:
        try:
            return open_network(
                model,
                ModelDirectory(settings.model_dir),
                device=settings.device,
                hidden_layer=settings.hidden_layer,
                cpu_threads=settings.cpu_threads,
            )
        except DeviceBroken as error:
            self._give_up(error)
            raise

    def _give_up(self, error: DeviceBroken) -> None:
        log.error("%s; the process that runs the models ends", error.message)
        self._broken.set()


def _serve(connection: socket.socket, models: Models) -> None:
    """Answer one client until it leaves."""
    replies: queue.SimpleQueue[Future[Rows] | None] = queue.SimpleQueue()
    sent: list[Future[Rows]] = []
    with connection:
        try:
            batcher = _opened(connection, models)
            if batcher is None:
                return
            threading.Thread(target=_reply, args=(connection, replies), daemon=True).start()
            for message in iter(partial(receive_blocking, connection), None):
                assert isinstance(message, model_wire.Piece)
                sent = [future for future in sent if not future.done()]
                sent.append(batcher.submit(message.samples))
                replies.put(sent[-1])
        except (EOFError, OSError):  # it has what it wanted, or was cancelled
            for future in sent:
                future.cancel()
        finally:
            replies.put(None)


def _opened(connection: socket.socket, models: Models) -> DynamicBatcher | None:
    """Open what the client asks for, and tell it."""
    asked = receive_blocking(connection)
    assert isinstance(asked, model_wire.Open)
    try:
        batcher = models.open(asked.model, asked.settings)
    except SyncError as error:
        connection.sendall(encode(model_wire.Refused(error)))
    except Exception:  # noqa: BLE001  the client's bug report needs it
        connection.sendall(encode(model_wire.ServerBug(traceback.format_exc())))
    else:
        connection.sendall(encode(_described(batcher)))
        return batcher
    return None


def _described(batcher: DynamicBatcher) -> model_wire.Opened:
    model = batcher.model
    return model_wire.Opened(
        model.name,
        model.geometry,
        model.dims,
        model.device,
        model.precision,
        model.chunk_hops,
        model.pieces_at_once,
    )


def _reply(connection: socket.socket, replies: queue.SimpleQueue[Future[Rows] | None]) -> None:
    for future in iter(replies.get, None):
        try:
            connection.sendall(encode(_outcome(future)))
        except (OSError, CancelledError):
            return


def _outcome(future: Future[Rows]) -> object:
    try:
        return model_wire.Rows(future.result())
    except SyncError as error:
        return model_wire.Refused(error)
    except Exception:  # noqa: BLE001  the client's bug report needs it
        return model_wire.ServerBug(traceback.format_exc())


if __name__ == "__main__":
    main()
