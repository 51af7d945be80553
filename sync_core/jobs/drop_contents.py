"""Read what was dropped: a CSV file, or the folder of a job, with the settings beside it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sync_core.domain.batch import ItemRequest
from sync_core.domain.errors import InputError, InputProblem, InvalidBatch, TooLarge
from sync_core.domain.media import MediaPolicy
from sync_core.domain.methods import DEFAULT_METHODS
from sync_core.jobs.csv_rows import UploadLimits, allowed_path, parse_upload
from sync_core.jobs.drop_names import Pair, Trigger, is_text, pair_up
from sync_core.jobs.drop_settings import COLUMNS, DropSettings, merged, read_settings_file
from sync_core.jobs.ports.drop_store import DropObject, DropStore
from sync_core.jobs.webhook_address import WebhookAddresses

log = logging.getLogger(__name__)

_MOST_SETTINGS_BYTES = 100_000


class Unpaired(InputError):
    """A job with files that are in no pair; `files` has for each its name and what is wrong with it."""

    code = "UNPAIRED_FILES"

    def __init__(self, message: str, files: Sequence[tuple[str, str]]) -> None:
        super().__init__(message)
        self.files = tuple(files)


@dataclass(frozen=True, slots=True)
class DropContents:
    """What a dropped file asks for. `identity` tells equal contents; `left_out` are files that came into no pair."""

    requests: tuple[ItemRequest, ...]
    settings: DropSettings
    identity: str
    left_out: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DropReader:
    """Reads what a trigger asks for, and checks it."""

    files: DropStore
    policy: MediaPolicy
    limits: UploadLimits
    webhooks: WebhookAddresses

    async def read(self, trigger: Trigger, found: DropObject) -> DropContents | None:
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
        limit = self.limits.file_bytes
        if found.size_bytes > limit:
            raise TooLarge(f"The file has {found.size_bytes:,} bytes; the limit is {limit:,}. Split it.")
        content = await self.files.read(found)
        return None if content is None else await self._read_csv(found, content, beside, settings_bytes)

    async def _read_csv(
        self, found: DropObject, content: bytes, beside: dict[str, object], settings_bytes: bytes
    ) -> DropContents:
        policy = replace(self.policy, relative_to=self.files.folder_reference(found.key))
        parsed = await asyncio.to_thread(
            parse_upload, content, limits=self.limits, policy=policy, batch_columns=COLUMNS
        )
        if parsed.ignored_columns:
            log.warning("columns of %s that mean nothing here: %s", found.key, ", ".join(parsed.ignored_columns))
        given = dict(parsed.batch_values)
        settings = merged(given, beside)
        line = parsed.first_line if merged(given, {}).webhook else 1
        await self._check_webhook(settings, line)
        return DropContents(parsed.requests, settings, _hash(content, settings_bytes))

    async def _read_job(self, found: DropObject, beside: dict[str, object], settings_bytes: bytes) -> DropContents:
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
        if len(paired.pairs) > self.limits.rows:
            raise TooLarge(f"The job has {len(paired.pairs):,} pairs; the limit is {self.limits.rows:,}.")
        requests = tuple(self._request(pair, files) for pair in paired.pairs)
        used = [files[name] for pair in paired.pairs for name in (pair.master, pair.dub)]
        versions = json.dumps([[entry.key, entry.version] for entry in used])
        return DropContents(requests, settings, _hash(versions.encode(), settings_bytes), left_out)

    def _request(self, pair: Pair, files: dict[str, DropObject]) -> ItemRequest:
        master, dub = (allowed_path(files[name].reference, self.policy) for name in (pair.master, pair.dub))
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


def _hash(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
