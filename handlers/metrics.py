"""Every metric: its name, unit and meaning, in one registry. Exported as Prometheus text, and to CloudWatch by logs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.samples import Sample

from handlers.tracing import delivery_span
from sync_core.domain.batch import Priority
from sync_core.jobs.deliver_webhooks import DeliverWebhook
from sync_core.jobs.ports.event_outbox import DeliveryStatus, WebhookDelivery
from sync_core.jobs.ports.work_queue import Delivery, QueueDepth
from sync_core.jobs.process import ItemProcessor, Outcome
from sync_core.jobs.sweep import Sweeper, Swept

REGISTRY = CollectorRegistry()
REQUESTS = Histogram(
    "sync_request_seconds", "Requests by route and status, and how long each took.", ["route", "status"],
    registry=REGISTRY,
)  # fmt: skip
DELIVERIES = Histogram(
    "sync_delivery_seconds", "Deliveries of items by what became of them, and how long each took.", ["outcome"],
    buckets=(0.1, 1, 5, 15, 30, 60, 120, 300, 600, 1800), registry=REGISTRY,
)  # fmt: skip
RESENT = Counter("sync_messages_resent", "Messages that the sweeper sent again.", registry=REGISTRY)
DEAD_ENDED = Counter("sync_dead_letters_ended", "Dead letters whose item the sweeper had to end.", registry=REGISTRY)
WEBHOOKS = Counter(
    "sync_webhook_attempts", "Attempts to deliver webhooks, by what became of the event.", ["outcome"],
    registry=REGISTRY,
)  # fmt: skip
DROPS = Counter("sync_drops", "Objects that came to the drop folder, by what became of them.", ["outcome"],
                registry=REGISTRY)  # fmt: skip
QUEUE = Gauge("sync_queue_messages", "Messages by priority and state.", ["priority", "state"], registry=REGISTRY)
WORKERS = Gauge("sync_workers", "Workers that are registered.", registry=REGISTRY)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_NAMESPACE = "SyncAnalyzer"
_KEPT_LABEL = "outcome"
_SUMMED = ("_total", "_sum", "_count")


def prometheus_text() -> bytes:
    """Give all metrics of this process as Prometheus reads them."""
    return generate_latest(REGISTRY)


def note_service(depths: Mapping[Priority, QueueDepth], workers: int) -> None:
    """Set what is read from the back end when somebody asks."""
    for priority, depth in depths.items():
        QUEUE.labels(priority.value, "waiting").set(depth.waiting)
        QUEUE.labels(priority.value, "in_flight").set(depth.in_flight)
        QUEUE.labels(priority.value, "dead").set(depth.dead)
    WORKERS.set(workers)


class MeteredProcessor(ItemProcessor):
    """Counts and traces deliveries."""

    __slots__ = ()

    async def process(self, delivery: Delivery, *, slot: int = 0) -> Outcome:
        began = time.perf_counter()
        with delivery_span(delivery) as span:
            outcome = await super().process(delivery, slot=slot)
            span.set_attribute("outcome", outcome.value)
        DELIVERIES.labels(outcome.value).observe(time.perf_counter() - began)
        return outcome


class MeteredSweeper(Sweeper):
    """Counts what it does."""

    __slots__ = ()

    async def sweep(self) -> Swept:
        swept = await super().sweep()
        RESENT.inc(swept.resent)
        DEAD_ENDED.inc(swept.ended_dead)
        return swept


class MeteredDelivery(DeliverWebhook):
    """Counts attempts; those after which the event is pending still are to be repeated."""

    __slots__ = ()

    async def attempt(self, claimed: WebhookDelivery) -> WebhookDelivery | None:
        saved = await super().attempt(claimed)
        if saved is not None:
            WEBHOOKS.labels("failed" if saved.status is DeliveryStatus.PENDING else saved.status.value).inc()
        return saved


@dataclass
class EmfWriter:
    """Writes what has been counted since the last time to standard output, in CloudWatch's embedded metric format.

    Gauges are left out: they show the service, not this process, and CloudWatch has them from SQS and ECS. Labels are
    summed over, but for the outcome, since CloudWatch charges for each combination.
    """

    process: str
    _written: dict[tuple[str, str], float] = field(default_factory=dict)

    def write(self) -> None:
        """Write one line for each outcome, and one for what has none."""
        for outcome, values in self._news().items():
            print(json.dumps(self._line(outcome, values)), file=sys.stdout, flush=True)

    def _news(self) -> dict[str, dict[str, float]]:
        news: dict[str, dict[str, float]] = {}
        for key, value in _sums().items():
            if added := value - self._written.get(key, 0.0):
                news.setdefault(key[1], {})[key[0]] = added
            self._written[key] = value
        return news

    def _line(self, outcome: str, values: Mapping[str, float]) -> dict[str, object]:
        labels = {"process": self.process, **({_KEPT_LABEL: outcome} if outcome else {})}
        metrics = [{"Name": name, "Unit": "Seconds" if name.endswith("_sum") else "Count"} for name in values]
        described = {"Namespace": _NAMESPACE, "Dimensions": [list(labels)], "Metrics": metrics}
        about = {"Timestamp": int(1000 * time.time()), "CloudWatchMetrics": [described]}
        return {"_aws": about, **labels, **values}


def _sums() -> dict[tuple[str, str], float]:
    """Add up counters and histograms by name and outcome."""
    sums: dict[tuple[str, str], float] = {}
    for sample in _samples():
        key = (sample.name, sample.labels.get(_KEPT_LABEL, ""))
        sums[key] = sums.get(key, 0.0) + sample.value
    return sums


def _samples() -> Iterator[Sample]:
    for metric in REGISTRY.collect():
        if metric.type != "gauge":
            yield from (sample for sample in metric.samples if sample.name.endswith(_SUMMED))
