"""Make a batch of what was dropped, and start it: once for each version, however often its arrival is told.

The order of side effects is what makes a crash harmless; whoever is told again goes on where the last one stopped::

    version bound to a batch id -> results asked for -> batch stored -> errors file put right -> batch started
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import StrEnum

from sync_core.domain.batch import BatchStatus
from sync_core.domain.errors import (
    InputError,
    InvalidBatch,
    NotFound,
    PathNotAllowed,
    SyncError,
    TransientError,
    WrongState,
)
from sync_core.domain.ids import new_batch_id
from sync_core.jobs.drop_contents import DropContents, DropReader, Unpaired
from sync_core.jobs.drop_names import Trigger, trigger_of
from sync_core.jobs.drop_results import ask_for_results
from sync_core.jobs.ports.drop_store import DropObject, DropStore, DropUnreadable
from sync_core.jobs.start import StartBatch
from sync_core.jobs.submit import SubmitBatch
from sync_core.jobs.webhook_address import WebhookAddresses

log = logging.getLogger(__name__)

_MOST_UNPAIRED = 1_000


class Took(StrEnum):
    """What became of an arrival."""

    STARTED = "started"
    """It became a batch, or had become one that was not started yet."""
    REPEATED = "repeated"
    """It had been taken before."""
    REFUSED = "refused"
    """Nothing was stored; the errors file beside it says why."""
    GONE = "gone"
    """That version is not there any more; the arrival of the one that replaced it is told by itself."""
    IGNORED = "ignored"
    """An object that starts nothing."""


class StillWritten(TransientError):
    """Media that somebody is writing at this moment."""

    code = "STILL_WRITTEN"


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome of an arrival, and the batch that belongs to it."""

    outcome: Took
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class TakeDrop:
    """Use case: take what was dropped."""

    files: DropStore
    submit: SubmitBatch
    start: StartBatch
    webhooks: WebhookAddresses

    async def take(self, key: str, version: str | None = None) -> Taken:
        """Take the object that has arrived, in the version that its event named, or as it is now.

        Raises
        ------
        TransientError
            If trying again later may help; an object that may not be read says so beside it as well.
        """
        trigger = trigger_of(key)
        if trigger is None:
            return Taken(Took.IGNORED)
        try:
            found = await self.files.find(key, version)
            return Taken(Took.GONE) if found is None else await self._take(trigger, found)
        except DropUnreadable as error:
            await self.files.write(trigger.errors_key, _document(key, version, error))
            raise

    @property
    def _reader(self) -> DropReader:
        return DropReader(self.files, self.submit.policy, self.submit.limits, self.webhooks)

    async def _take(self, trigger: Trigger, found: DropObject) -> Taken:
        bound = await self.submit.keys.find(self._key("version", found.key, found.version))
        if bound and await self._is_under_way(bound):
            return Taken(Took.REPEATED, bound)
        try:
            contents = await self._reader.read(trigger, found)
        except (InputError, PathNotAllowed) as error:
            log.warning("refused %r: %s", found.key, error.message)
            if await self._is_current(found):  # else the errors are nobody's concern any more
                await self.files.write(trigger.errors_key, _document(found.key, found.version, error))
            return Taken(Took.REFUSED)
        if contents is None:
            return Taken(Took.GONE)
        await self._check_media(found, contents)
        return await self._make(trigger, found, contents)

    async def _check_media(self, found: DropObject, contents: DropContents) -> None:
        """See to it that all media are whole before anything is stored."""
        named = {file for request in contents.requests for file in (request.master_file, request.dub_file)}
        unfinished = await self.files.unfinished(named)
        if unfinished:
            raise StillWritten(f"{found.key} waits for {len(unfinished)} media files, such as {unfinished[0]}.")

    async def _is_under_way(self, batch_id: str) -> bool:
        """Tell whether a batch has been started or cancelled; who bound its id may have died before he stored it."""
        try:
            batch = await self.submit.store.get(batch_id)
        except NotFound:
            return False
        return batch.status is not BatchStatus.UPLOADED

    async def _make(self, trigger: Trigger, found: DropObject, contents: DropContents) -> Taken:
        batch_id = await self._bind(found, contents)
        if await self._is_under_way(batch_id):  # the same content under another version
            await self._tell_left_out(trigger, found, contents, batch_id)
            log.info("what was dropped at %s was taken before", found.key, extra={"batch_id": batch_id})
            return Taken(Took.REPEATED, batch_id)
        await ask_for_results(self.files, batch_id, trigger.stem, self.submit.clock.now())
        await self.submit.store_as(batch_id, contents.requests, contents.settings.batch_options(found.key))
        await self._tell_left_out(trigger, found, contents, batch_id)
        try:
            await self.start.start(batch_id, contents.settings.start_options, repeatable=True)
        except WrongState as error:
            log.info("not started: %s", error.message, extra={"batch_id": batch_id})
            return Taken(Took.REPEATED, batch_id)
        log.info("started what was dropped at %s", found.key, extra={"batch_id": batch_id})
        return Taken(Took.STARTED, batch_id)

    async def _bind(self, found: DropObject, contents: DropContents) -> str:
        """Give the batch id of this version; two who are told of it at once get the same one."""
        now = self.submit.clock.now()
        batch_id = new_batch_id(now)
        names = [self._key("version", found.key, found.version)]
        if not self.files.knows_versions:
            names.insert(0, self._key("content", found.key, contents.identity))
        for name in names:
            batch_id = await self.submit.keys.claim(name, fingerprint="drop", resource_id=batch_id, now=now)
        return batch_id

    def _key(self, kind: str, key: str, version: str) -> str:
        text = json.dumps([self.files.source, key, version])
        return f"drop-{kind}/{hashlib.sha256(text.encode()).hexdigest()}"

    async def _tell_left_out(self, trigger: Trigger, found: DropObject, contents: DropContents, batch_id: str) -> None:
        """Say beside the job which files came into no pair; where all did, remove what an earlier version left."""
        if not await self._is_current(found):
            return
        if not contents.left_out:
            await self.files.remove(trigger.errors_key)
            return
        count, pairs = len(contents.left_out), len(contents.requests)
        error = Unpaired(
            f"{count} files of this job came into no pair; the other files make {pairs} pairs, which are analysed.",
            contents.left_out,
        )
        await self.files.write(trigger.errors_key, _document(found.key, found.version, error, batch_id))

    async def _is_current(self, found: DropObject) -> bool:
        current = await self.files.find(found.key)
        return current is not None and current.version == found.version


async def _document(
    key: str, version: str | None, error: SyncError, batch_id: str | None = None
) -> AsyncIterator[bytes]:
    """Write what is wrong, as the API answers a bad upload; equal reasons make equal documents."""
    document = {
        "file": key,
        "version": version,
        "batch_id": batch_id,
        "error": error.message,
        "error_code": error.code,
        "details": _details(error),
    }
    yield json.dumps(document, indent=1).encode()


def _details(error: SyncError) -> list[dict[str, object]]:
    if isinstance(error, InvalidBatch):
        return [problem.as_dict() for problem in error.problems]
    if isinstance(error, Unpaired):
        return [{"file": name, "reason": reason} for name, reason in error.files[:_MOST_UNPAIRED]]
    return []
