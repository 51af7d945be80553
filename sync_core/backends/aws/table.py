"""The table: rows by key, conditional writes, transactions. Each call is repeated while AWS asks for it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.keys import Key
from sync_core.backends.aws.trouble import Patience, error_code, patiently
from sync_core.backends.aws.wire import Expression, Row, Wire, from_wire, placeholders, to_wire, update_expression
from sync_core.domain.errors import Throttled

_KEYS_PER_READ = 100
_ANYTHING = Expression("")


class ConditionFailed(Exception):
    """A row is not as the write wants it.

    `rows` has the row as it is for each refused write, by the write's place in the transaction; None for a row that is
    not there.
    """

    def __init__(self, rows: Mapping[int, Row | None]) -> None:
        super().__init__(f"the condition failed of {sorted(rows)}")
        self.rows = rows


@dataclass(frozen=True, slots=True)
class Put:
    """Write a whole row."""

    key: Key
    row: Row
    condition: Expression = _ANYTHING


@dataclass(frozen=True, slots=True)
class Update:
    """Change some attributes of a row; None removes one, `wire.Plus` adds to one."""

    key: Key
    changes: Row
    condition: Expression = _ANYTHING


class Table:
    """The table of one back end."""

    def __init__(self, clients: Clients, name: str, patience: Patience) -> None:
        self._clients = clients
        self._name = name
        self._patience = patience

    async def get(self, key: Key) -> Row | None:
        """Read a row as it is now."""
        answer = await self._send("get_item", {"Key": to_wire(key._asdict()), "ConsistentRead": True})
        return from_wire(answer["Item"]) if "Item" in answer else None

    async def get_many(self, keys: Sequence[Key]) -> dict[Key, Row]:
        """Read rows as they are now; those that are not there are left out."""
        chunks = [keys[at : at + _KEYS_PER_READ] for at in range(0, len(keys), _KEYS_PER_READ)]
        found = await asyncio.gather(*(self._get_chunk(chunk) for chunk in chunks))
        return {_key_of(row): row for rows in found for row in rows}

    async def query(
        self,
        condition: Expression,
        *,
        index: str | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[Row]:
        """Read rows of one partition in the order of their sort keys, by as many requests as their size needs.

        Reads of an index may lag behind by some milliseconds.
        """
        request: Wire = {
            "KeyConditionExpression": condition.text,
            "ScanIndexForward": not newest_first,
            **placeholders(condition.values, condition.text),
            **({"IndexName": index} if index else {"ConsistentRead": True}),
        }
        rows: list[Row] = []
        while True:
            page = {**request, "Limit": limit - len(rows)} if limit else request
            answer = await self._send("query", page)
            rows += map(from_wire, answer["Items"])
            if "LastEvaluatedKey" not in answer or len(rows) == limit:
                return rows
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    async def write(self, write: Put | Update) -> None:
        """Write one row.

        Raises
        ------
        ConditionFailed
            If the row is not as wanted. After a lost answer that may be by this very write.
        """
        operation = "put_item" if isinstance(write, Put) else "update_item"
        try:
            await self._send(operation, _request_of(write))
        except ClientError as error:
            if error_code(error) != "ConditionalCheckFailedException":
                raise
            wire: Any = error.response.get("Item")
            raise ConditionFailed({0: from_wire(wire) if wire else None}) from None

    async def delete(self, key: Key) -> None:
        await self._send("delete_item", {"Key": to_wire(key._asdict())})

    async def transact(self, writes: Sequence[Put | Update]) -> None:
        """Do all of the writes or none.

        A transaction whose answer was lost is repeated under the same token, so that AWS does not do it again; one that
        was cancelled gets a new token.

        Raises
        ------
        ConditionFailed
            If rows are not as wanted. After a lost answer that may be by this very transaction.
        """
        items = [{type(write).__name__: {"TableName": self._name, **_request_of(write)}} for write in writes]
        request: Wire = {"TransactItems": items, "ClientRequestToken": secrets.token_hex(16)}
        client = await self._clients.dynamodb()

        async def send() -> None:
            try:
                await client.transact_write_items(**request)
            except ClientError as error:
                if error_code(error) != "TransactionCanceledException":
                    raise
                request["ClientRequestToken"] = secrets.token_hex(16)
                refused = _refused_rows(error)
                if refused:
                    raise ConditionFailed(refused) from None
                raise

        await patiently(self._patience, send)

    async def _get_chunk(self, keys: Sequence[Key]) -> list[Row]:
        """Read up to a hundred rows; what AWS leaves out for its size or its pace is asked for again."""
        wanted: Wire = {"Keys": [to_wire(key._asdict()) for key in keys], "ConsistentRead": True}
        client, pauses = await self._clients.dynamodb(), self._patience.pauses()
        rows: list[Row] = []
        while True:
            asked: Any = {self._name: wanted}
            answer = await patiently(self._patience, client.batch_get_item, RequestItems=asked)
            found = answer["Responses"].get(self._name, [])
            rows += map(from_wire, found)
            left = answer.get("UnprocessedKeys", {}).get(self._name)
            if not left:
                return rows
            wanted = dict(left)
            if not found:
                await self._pause(pauses)

    async def _pause(self, pauses: Iterator[float]) -> None:
        pause = next(pauses, None)
        if pause is None:
            raise Throttled(f"The table {self._name} keeps asking to slow down.")
        await self._patience.sleep(pause)

    async def _send(self, operation: str, request: Wire) -> Wire:
        client = await self._clients.dynamodb()
        answer: Wire = await patiently(self._patience, getattr(client, operation), TableName=self._name, **request)
        return answer


def _key_of(row: Row) -> Key:
    return Key(row["pk"], row["sk"])


def _refused_rows(error: ClientError) -> dict[int, Row | None]:
    reasons: Any = error.response.get("CancellationReasons", [])
    return {
        place: from_wire(reason["Item"]) if reason.get("Item") else None
        for place, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }


def _request_of(write: Put | Update) -> Wire:
    key, condition = to_wire(write.key._asdict()), write.condition
    conditional = {"ConditionExpression": condition.text} if condition.text else {}
    if isinstance(write, Put):
        row = {"Item": {**key, **to_wire(write.row)}}
        return {**row, **conditional, **_tell_why(conditional), **placeholders(condition.values, condition.text)}
    text, values = update_expression(write.changes)
    names = placeholders({**condition.values, **values}, condition.text, text)
    return {"Key": key, "UpdateExpression": text, **conditional, **_tell_why(conditional), **names}


def _tell_why(conditional: Wire) -> Wire:
    return {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if conditional else {}
