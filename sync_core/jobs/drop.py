"""Make a batch of what was dropped, and start it: once for each version, however often its arrival is told.

The order of side effects is what makes a crash harmless; whoever is told again goes on where the last one stopped::

    version bound to a batch id -> results asked for -> batch stored -> errors file put right -> batch started
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sync_core.domain.batch import BatchStatus, ItemRequest
from sync_core.domain.errors import (
    InputError,
    InputProblem,
    InvalidBatch,
    NotFound,
    PathNotAllowed,
    SyncError,
    TooLarge,
    WrongState,
)
from sync_core.domain.ids import new_batch_id
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.csv_rows import allowed_path, parse_upload
from sync_core.jobs.drop_names import Pair, Trigger, is_text, pair_up, trigger_of
from sync_core.jobs.drop_results import ask_for_results
from sync_core.jobs.drop_settings import COLUMNS, DropSettings, merged, read_settings_file
from sync_core.jobs.ports.drop_store import DropObject, DropStore, DropUnreadable
from sync_core.jobs.start import StartBatch
from sync_core.jobs.submit import SubmitBatch
from sync_core.jobs.webhook_address import WebhookAddresses

log = logging.getLogger(__name__)

_MOST_SETTINGS_BYTES = 100_000
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


class Unpaired(InputError):
    """A job with files that are in no pair; `files` has for each its name and what is wrong with it."""

    code = "UNPAIRED_FILES"

    def __init__(self, message: str, files: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.files = tuple(files)


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome of an arrival, and the batch that belongs to it."""

    outcome: Took
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class _Contents:
    """What a dropped file asks for. `identity` tells equal contents; `left_out` are files that came into no pair."""

    requests: tuple[ItemRequest, ...]
    settings: DropSettings
    identity: str
    left_out: tuple[tuple[str, str], ...] = ()


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

    async def _take(self, trigger: Trigger, found: DropObject) -> Taken:
        bound = await self.submit.keys.find(self._key("version", found.key, found.version))
        if bound and await self._is_under_way(bound):
            return Taken(Took.REPEATED, bound)
        try:
            contents = await self._read(trigger, found)
        except (InputError, PathNotAllowed) as error:
            log.warning("refused %s: %s", found.key, error.message)
            if await self._is_current(found):  # else the errors are nobody's concern any more
                await self.files.write(trigger.errors_key, _document(found.key, found.version, error))
            return Taken(Took.REFUSED)
        return Taken(Took.GONE) if contents is None else await self._make(trigger, found, contents)

    async def _is_under_way(self, batch_id: str) -> bool:
        """Tell whether a batch has been started or cancelled; who bound its id may have died before he stored it."""
        try:
            batch = await self.submit.store.get(batch_id)
        except NotFound:
            return False
        return batch.status is not BatchStatus.UPLOADED

    async def _make(self, trigger: Trigger, found: DropObject, contents: _Contents) -> Taken:
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

    async def _bind(self, found: DropObject, contents: _Contents) -> str:
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

    async def _read(self, trigger: Trigger, found: DropObject) -> _Contents | None:
        """Read what is asked for; None if that version has gone meanwhile.

        Raises
        ------
        InputError, PathNotAllowed
            If it cannot be used.
        """
        if not is_text(found.key):
            raise InputError("The name of this file, or of its folder, is in bytes that are no UTF-8; rename it.")
        beside, settings_bytes = await self._settings_beside(trigger)
        if trigger.is_ready:
            return await self._read_job(found, beside, settings_bytes)
        limit = self.submit.limits.file_bytes
        if found.size_bytes > limit:
            raise TooLarge(f"The file has {found.size_bytes:,} bytes; the limit is {limit:,}. Split it.")
        content = await self.files.read(found)
        return None if content is None else await self._read_csv(found, content, beside, settings_bytes)

    async def _read_csv(
        self, found: DropObject, content: bytes, beside: dict[str, object], settings_bytes: bytes
    ) -> _Contents:
        policy = replace(self.submit.policy, relative_to=self.files.folder_reference(found.key))
        parsed = await asyncio.to_thread(
            parse_upload, content, limits=self.submit.limits, policy=policy, batch_columns=COLUMNS
        )
        if parsed.ignored_columns:
            log.warning("columns of %s that mean nothing here: %s", found.key, ", ".join(parsed.ignored_columns))
        given = dict(parsed.batch_values)
        settings = merged(given, beside)
        line = parsed.first_line if merged(given, {}).webhook else 1
        await self._check_webhook(settings, line)
        return _Contents(parsed.requests, settings, _hash(content, settings_bytes))

    async def _read_job(self, found: DropObject, beside: dict[str, object], settings_bytes: bytes) -> _Contents:
        settings = merged({}, beside)
        await self._check_webhook(settings, 1)
        files = {entry.key.rpartition("/")[2]: entry for entry in await self.files.beside(found)}
        paired = pair_up(list(files))
        left_out = tuple(paired.problems.items())
        if not paired.pairs:
            raise Unpaired(
                "The folder of this job holds no pair of <name>.master.<ext> and <name>.dub.<lang>.<ext>; "
                "nothing was stored.",
                left_out,
            )
        if len(paired.pairs) > self.submit.limits.rows:
            raise TooLarge(f"The job has {len(paired.pairs):,} pairs; the limit is {self.submit.limits.rows:,}.")
        requests = tuple(self._request(pair, files) for pair in paired.pairs)
        used = [files[name] for pair in paired.pairs for name in (pair.master, pair.dub)]
        versions = json.dumps([[entry.key, entry.version] for entry in used])
        return _Contents(requests, settings, _hash(versions.encode(), settings_bytes), left_out)

    def _request(self, pair: Pair, files: dict[str, DropObject]) -> ItemRequest:
        master, dub = (allowed_path(files[name].reference, self.submit.policy) for name in (pair.master, pair.dub))
        description = f"{pair.name}, {pair.language}"
        return ItemRequest(master, dub, DEFAULT_METHODS, description=description, tags=(pair.language,))

    async def _settings_beside(self, trigger: Trigger) -> tuple[dict[str, object], bytes]:
        key = trigger.settings_key
        found = await self.files.find(key) if key else None
        if found is None:
            return {}, b""
        name = found.key.rpartition("/")[2]
        if found.size_bytes > _MOST_SETTINGS_BYTES:
            raise TooLarge(f"{name} has {found.size_bytes:,} bytes; settings have {_MOST_SETTINGS_BYTES:,} at most.")
        content = await self.files.read(found) or b""
        return (read_settings_file(content, name) if content else {}), content

    async def _check_webhook(self, settings: DropSettings, line: int) -> None:
        try:
            await self.webhooks.check(settings.webhook)
        except InputError as error:
            problem = InputProblem(line, "webhook", error.message)
            raise InvalidBatch("The webhook cannot be used; nothing was stored.", [problem]) from error

    async def _tell_left_out(self, trigger: Trigger, found: DropObject, contents: _Contents, batch_id: str) -> None:
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


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


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
