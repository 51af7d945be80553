"""A child process that compares pairs for its parent, one after the other; decoding in native code may crash it.

Run as `python -m sync_core.pipeline.child FD PARENT_PID`, FD being its end of a socket pair. It never outlives its
parent: the kernel kills it (Linux), and the end of the socket's stream makes it leave anywhere.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
import time
import traceback

from sync_core.domain.errors import OutOfMemory, SyncError
from sync_core.domain.methods import AiModel
from sync_core.domain.result import Progress
from sync_core.pipeline.ai_settings import AiSettings
from sync_core.pipeline.framing import encode, receive_blocking
from sync_core.pipeline.lending import AddressLent, Borrower
from sync_core.pipeline.wire import Bug, Done, Failed, Message, Task, Warm, Warmed
from sync_core.pipeline.with_parent import end_with_parent

_PROGRESS_SECONDS = 0.2


def main() -> None:
    """Serve the parent until its end of the socket closes."""
    parent = _Parent(socket.socket(fileno=int(sys.argv[1])))
    end_with_parent(int(sys.argv[2]))
    threading.Thread(target=parent.receive_for_ever, daemon=True).start()
    _load_everything()
    while True:
        match parent.tasks.get():
            case Warm(ai, models):
                parent.send(_warmed(ai, models))
            case Task() as task:
                parent.send(_answer(task, parent))


class _Parent:
    """The other end of the socket: gives tasks and addresses, and is sent to from several threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self.tasks: queue.SimpleQueue[Task | Warm] = queue.SimpleQueue()
        self.addresses = Borrower(self.send)

    def send(self, message: Message) -> None:
        with self._sending:
            self._connection.sendall(encode(message))

    def receive_for_ever(self) -> None:
        """Take tasks in; leave at once when the parent is gone, whatever is being computed."""
        while True:
            try:
                message = receive_blocking(self._connection)
            except (EOFError, OSError):
                os._exit(1)
            if isinstance(message, AddressLent):
                self.addresses.take(message)
            else:
                assert isinstance(message, Task | Warm)
                self.tasks.put(message)


def _load_everything() -> None:
    """Import what the first task would otherwise wait for; the second needs what the first sets up."""
    import sync_core.pipeline.compare_files

    import sync_core.pipeline.ai  # noqa: F401  # isort: skip


def _warmed(ai: AiSettings, models: tuple[AiModel, ...]) -> Warmed:
    from sync_core.pipeline.ai import warm

    troubles = []
    for model in models:
        try:
            warm(ai, model)
        except SyncError as error:
            troubles.append(f"{model.value} cannot be made ready: {error.message}")
    return Warmed(tuple(troubles))


def _answer(task: Task, parent: _Parent) -> Message:
    from sync_core.pipeline.compare_files import compare_files

    request = task.request
    try:
        result = compare_files(
            request,
            policy=task.policy,
            tolerance_seconds=task.tolerance_seconds,
            ai=task.ai,
            on_progress=_Reporter(parent),
            spool_folder=task.spool_folder,
            locate=parent.addresses,
        )
    except SyncError as error:
        return Failed(error)
    except MemoryError:
        return Failed(OutOfMemory(f"not enough memory to compare {request.master_file} with {request.dub_file}"))
    except Exception:  # noqa: BLE001  the parent decides what becomes of it
        return Bug(traceback.format_exc())
    return Done(result)


class _Reporter:
    """Sends progress, several times a second at most."""

    def __init__(self, parent: _Parent) -> None:
        self._parent = parent
        self._sent_at = float("-inf")

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._sent_at >= _PROGRESS_SECONDS:
            self._sent_at = now
            self._parent.send(progress)


if __name__ == "__main__":
    main()
