"""Which requests an item costs, as seen on their way."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Mapping

_ITEM_KEY = re.compile(r'"ITEM#(\d+)"')
_REPORT = re.compile(r"/reports/[^/]+/item_(\d+)-")
_OK = 200
_HEARTBEAT_OR_LATER = {"ChangeMessageVisibility", "UpdateItem"}


def operation_of(method: str, headers: Mapping[str, str], path: str) -> str:
    """Name a request's operation; DynamoDB and SQS say it, in S3 it is the method."""
    target = headers.get("X-Amz-Target", "")
    if target:
        return target.partition(".")[2]
    is_object = path.count("/") > 1
    return f"{method.title()}Object" if is_object else f"S3 {method}"


class Ledger:
    """Answered requests by operation, and by the item that they are about.

    An item is undisturbed if none of its requests was spoilt, refused or repeated: what it cost is what an item costs.
    """

    def __init__(self) -> None:
        self.answered: Counter[str] = Counter()
        self.empty_receives = 0
        self._of_item: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._disturbed: set[int] = set()
        self._item_of_handle: dict[str, int] = {}

    def note(self, operation: str, body: bytes, path: str, status: int, answer: bytes) -> None:
        if operation == "ReceiveMessage" and status == _OK:
            self._note_receipt(json.loads(answer).get("Messages", ()))
            return
        self.answered[operation] += 1
        items = self._items(operation, body, path)
        for item in items:
            self._of_item[item][operation] += 1
        if status != _OK or operation in _HEARTBEAT_OR_LATER:
            self._disturbed |= items

    def note_fault(self, operation: str, body: bytes, path: str) -> None:
        self._disturbed |= self._items(operation, body, path)

    def undisturbed(self) -> list[int]:
        """Give how many requests each undisturbed item cost."""
        first_tries = [of for item, of in self._of_item.items() if item not in self._disturbed]
        return [of.total() for of in first_tries if of["ReceiveMessage"] == of["DeleteMessage"] == 1]

    def _note_receipt(self, messages: list[dict[str, str]]) -> None:
        self.empty_receives += not messages
        for message in messages:
            item = int(json.loads(message["Body"])["item_index"])
            self._item_of_handle[message["ReceiptHandle"]] = item
            self.answered["ReceiveMessage"] += 1
            self._of_item[item]["ReceiveMessage"] += 1

    def _items(self, operation: str, body: bytes, path: str) -> set[int]:
        """Give the items that a request is about; of a transaction the first, for the others are only claimed in it."""
        if operation in ("PutObject", "DeleteObject", "GetObject"):
            return {int(number) - 1 for number in _REPORT.findall(path)}
        text = body.decode()
        if operation == "SendMessageBatch":
            return {int(json.loads(entry["MessageBody"])["item_index"]) for entry in json.loads(text)["Entries"]}
        if operation in ("DeleteMessage", "ChangeMessageVisibility"):
            item = self._item_of_handle.get(json.loads(text)["ReceiptHandle"])
            return set() if item is None else {item}
        return {int(number) for number in _ITEM_KEY.findall(text)[:1]}
