"""Queues in SQS: a standard queue per priority, each with a dead-letter queue to which SQS moves what comes too often.

The batch id is the message group, so that SQS serves batches fairly: a large one does not delay a small one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any, ParamSpec

from botocore.exceptions import ClientError

from sync_core.backends.aws.clients import Clients
from sync_core.backends.aws.resources import AwsResources
from sync_core.backends.aws.trouble import Patience, error_code, patiently
from sync_core.domain.batch import Priority
from sync_core.domain.errors import StorageUnavailable
from sync_core.jobs.ports.work_queue import Delivery, Message, QueueDepth

if TYPE_CHECKING:
    from types_aiobotocore_sqs.literals import QueueAttributeNameType

P = ParamSpec("P")

log = logging.getLogger(__name__)

_ENTRIES_PER_REQUEST = 10
_LONGEST_POLL_SECONDS = 1.0
_MOST_VISIBILITY_SECONDS = 43_200
_MOST_DELAY_SECONDS = 900
_STALE = frozenset(
    {
        "AWS.SimpleQueueService.MessageNotInflight",
        "InvalidParameterValue",
        "MessageNotInflight",
        "ReceiptHandleIsInvalid",
    }
)
_DEPTHS: tuple[QueueAttributeNameType, ...] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
)
_DEAD = "dead:"


class AwsWorkQueue:
    """The WorkQueue port on SQS. SQS counts whole seconds: times are rounded up.

    How often a message may be received is the queues' own setting (`RedrivePolicy`).
    """

    def __init__(self, clients: Clients, resources: AwsResources, patience: Patience) -> None:
        self._clients = clients
        self._urls = resources.queue_urls
        self._dead_urls = resources.dead_letter_urls
        self._patience = patience

    async def send(self, messages: Sequence[Message], *, delay_seconds: float = 0.0) -> None:
        delay = _whole(delay_seconds, _MOST_DELAY_SECONDS)
        for priority in Priority:
            wanted = [message for message in messages if message.priority is priority]
            entries = [_entry(str(number), message, delay) for number, message in enumerate(wanted)]
            for at in range(0, len(entries), _ENTRIES_PER_REQUEST):
                await self._send(self._urls[priority], entries[at : at + _ENTRIES_PER_REQUEST])

    async def receive(
        self, priorities: Sequence[Priority], *, visibility_seconds: float, wait_seconds: float = 0.0
    ) -> Delivery | None:
        """Ask each queue in turn; then wait in long polls of up to a second, at one queue after the other."""
        for priority in priorities:
            if delivery := await self._receive_one(priority, visibility_seconds, 0):
                return delivery
        left = wait_seconds
        for priority in cycle(priorities) if priorities else ():
            if left <= 0:
                return None
            poll = min(left, _LONGEST_POLL_SECONDS)
            if delivery := await self._receive_one(priority, visibility_seconds, _whole(poll, 20)):
                return delivery
            left -= poll
        return None

    async def extend(self, delivery: Delivery, *, visibility_seconds: float) -> None:
        sqs, (url, handle) = await self._clients.sqs(), self._place_of(delivery)
        seconds = _whole(visibility_seconds, _MOST_VISIBILITY_SECONDS)
        await self._unless_stale(
            sqs.change_message_visibility, QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds
        )

    async def delete(self, delivery: Delivery) -> None:
        sqs, (url, handle) = await self._clients.sqs(), self._place_of(delivery)
        await self._unless_stale(sqs.delete_message, QueueUrl=url, ReceiptHandle=handle)

    async def depth(self) -> Mapping[Priority, QueueDepth]:
        depths = await asyncio.gather(*(self._depth(priority) for priority in Priority))
        return dict(zip(Priority, depths, strict=True))

    async def receive_dead(self, *, limit: int, visibility_seconds: float) -> tuple[Delivery, ...]:
        dead: list[Delivery] = []
        for priority in Priority:
            while len(dead) < limit:
                most = min(limit - len(dead), _ENTRIES_PER_REQUEST)
                found = await self._receive(self._dead_urls[priority], visibility_seconds, 0, most)
                dead += _deliveries(found, priority, prefix=_DEAD)
                if not found:
                    break
        return tuple(dead)

    async def _receive_one(self, priority: Priority, visibility_seconds: float, wait: int) -> Delivery | None:
        found = await self._receive(self._urls[priority], visibility_seconds, wait, 1)
        return next(_deliveries(found, priority), None)

    async def _receive(self, url: str, visibility_seconds: float, wait: int, most: int) -> Sequence[Any]:
        sqs, visibility = await self._clients.sqs(), _whole(visibility_seconds, _MOST_VISIBILITY_SECONDS)
        answer = await patiently(
            self._patience,
            sqs.receive_message,
            QueueUrl=url,
            MaxNumberOfMessages=most,
            VisibilityTimeout=visibility,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return answer.get("Messages", ())

    async def _send(self, url: str, entries: list[Any]) -> None:
        """Send up to ten messages; SQS answers for each of them, and those that failed are sent again."""
        sqs, pauses = await self._clients.sqs(), self._patience.pauses()
        while entries:
            answer = await patiently(self._patience, sqs.send_message_batch, QueueUrl=url, Entries=entries)
            failed = {failure["Id"]: failure for failure in answer.get("Failed", ())}
            entries = [entry for entry in entries if entry["Id"] in failed]
            if entries and (pause := next(pauses, None)) is not None:
                await self._patience.sleep(pause)
            elif entries:
                raise StorageUnavailable(f"SQS does not take {len(entries)} messages: {failed[entries[0]['Id']]}.")

    async def _unless_stale(self, send: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await patiently(self._patience, send, *args, **kwargs)
        except ClientError as error:
            if error_code(error) not in _STALE:
                raise

    async def _depth(self, priority: Priority) -> QueueDepth:
        (visible, delayed, in_flight), dead = await asyncio.gather(
            self._counts(self._urls[priority]), self._counts(self._dead_urls[priority])
        )
        return QueueDepth(waiting=visible + delayed, in_flight=in_flight, dead=sum(dead))

    async def _counts(self, url: str) -> list[int]:
        sqs = await self._clients.sqs()
        answer = await patiently(self._patience, sqs.get_queue_attributes, QueueUrl=url, AttributeNames=_DEPTHS)
        counts = answer["Attributes"]
        return [int(counts[name]) for name in _DEPTHS]

    def _place_of(self, delivery: Delivery) -> tuple[str, str]:
        """Give the queue that a delivery came from, and its handle there."""
        is_dead, priority = delivery.receipt_handle.startswith(_DEAD), delivery.message.priority
        urls = self._dead_urls if is_dead else self._urls
        return urls[priority], delivery.receipt_handle.removeprefix(_DEAD)


def _whole(seconds: float, most: int) -> int:
    return min(math.ceil(max(seconds, 0.0)), most)


def _entry(entry_id: str, message: Message, delay: int) -> dict[str, object]:
    trace = {"trace": message.trace} if message.trace else {}
    return {
        "Id": entry_id,
        "MessageBody": json.dumps({"batch_id": message.batch_id, "item_index": message.item_index, **trace}),
        "MessageGroupId": message.batch_id,
        **({"DelaySeconds": delay} if delay else {}),
    }


def _deliveries(found: Sequence[Any], priority: Priority, *, prefix: str = "") -> Iterator[Delivery]:
    """Read what was received. A message that is not ours stays, and ends among the dead letters."""
    for entry in found:
        try:
            body = json.loads(entry["Body"])
            message = Message(str(body["batch_id"]), int(body["item_index"]), priority, body.get("trace"))
        except (ValueError, KeyError, TypeError):
            log.warning("left a message that no part of this system sent: %s", entry.get("MessageId"))
            continue
        count = int(entry.get("Attributes", {}).get("ApproximateReceiveCount", 1))
        yield Delivery(message, prefix + entry["ReceiptHandle"], count)
