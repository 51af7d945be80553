"""What back ends write of values that all of them hold alike."""

from __future__ import annotations

import json

from sync_core.domain.batch import ItemRequest
from sync_core.domain.methods import AiModel, Method


def request_text(request: ItemRequest) -> str:
    """Give a request's stored form: a JSON list in the order of its fields."""
    return json.dumps(
        [
            request.master_file,
            request.dub_file,
            request.methods,
            request.ai_model,
            request.description,
            request.tags,
            request.per_channel,
            *([request.pinned] if request.pinned else []),
        ],
        separators=(",", ":"),
    )


def request_of(text: str) -> ItemRequest:
    """Read what `request_text` gave."""
    master_file, dub_file, methods, ai_model, description, tags, per_channel, *pinned = json.loads(text)
    return ItemRequest(
        master_file=master_file,
        dub_file=dub_file,
        methods=tuple(map(Method, methods)),
        ai_model=AiModel(ai_model) if ai_model else None,
        description=description,
        tags=tuple(tags),
        per_channel=per_channel,
        pinned=(pinned[0][0], pinned[0][1]) if pinned else None,
    )


def storable(text: str | None) -> str | None:
    """Replace what UTF-8 cannot hold: names of files may come with undecodable bytes in them."""
    return None if text is None else text.encode("utf-8", "replace").decode()
