"""Addresses of objects in S3, which a child process borrows from its parent: only that one has credentials."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from sync_core.domain.errors import SyncError, TransientError
from sync_core.domain.media import MediaRef
from sync_core.domain.remote_media import Refusal
from sync_core.jobs.ports.media_objects import MediaObjects
from sync_core.media.locate import nowhere

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AddressWanted:
    """From the child: give me an address for this object; the last one was refused so."""

    number: int
    ref: MediaRef
    refusal: Refusal | None


@dataclass(frozen=True, slots=True)
class AddressLent:
    """To the child: the address, or why there is none."""

    number: int
    outcome: str | SyncError


class Borrower:
    """The child's side: a `Locate` for any number of threads.

    Parameters
    ----------
    send
        Sends a message to the parent; called on any thread.
    """

    def __init__(self, send: Callable[[AddressWanted], None]) -> None:
        self._send = send
        self._numbers = itertools.count()
        self._waiting: dict[int, Future[str]] = {}
        self._lock = threading.Lock()

    def __call__(self, ref: MediaRef, refusal: Refusal | None) -> str:
        answer: Future[str] = Future()
        with self._lock:
            number = next(self._numbers)
            self._waiting[number] = answer
        self._send(AddressWanted(number, ref, refusal))
        return answer.result()

    def take(self, lent: AddressLent) -> None:
        """Hand an answer to the thread that waits for it."""
        with self._lock:
            waiting = self._waiting.pop(lent.number)
        if isinstance(lent.outcome, SyncError):
            waiting.set_exception(lent.outcome)
        else:
            waiting.set_result(lent.outcome)


class Lender:
    """The parent's side, for one task of a child.

    Parameters
    ----------
    media
        None where objects in S3 cannot be read.
    send
        Sends a message to the child.
    """

    def __init__(self, media: MediaObjects | None, send: Callable[[AddressLent], None]) -> None:
        self._media = media
        self._send = send
        self._running: set[asyncio.Task[None]] = set()

    def lend(self, wanted: AddressWanted) -> None:
        """Answer in time, while the child is listened to further."""
        task = asyncio.create_task(self._answer(wanted))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def stop(self) -> None:
        """Give up what has not been answered: the child does not wait any more."""
        for task in self._running:
            task.cancel()

    async def _answer(self, wanted: AddressWanted) -> None:
        self._send(AddressLent(wanted.number, await self._outcome(wanted)))

    async def _outcome(self, wanted: AddressWanted) -> str | SyncError:
        try:
            if self._media is None:
                return nowhere(wanted.ref, wanted.refusal)
            return await self._media.address(wanted.ref, wanted.refusal)
        except SyncError as error:
            return error
        except Exception:
            log.exception("no address could be made for %s", wanted.ref)
            return TransientError(f"no address could be made for {wanted.ref}; the worker's log has the reason")
