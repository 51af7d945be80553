"""Traces with OpenTelemetry, off unless a collector is named by OTEL_EXPORTER_OTLP_ENDPOINT.

A request is a span, which FastAPI makes. An attempt at an item is a span of its own trace that is linked to the request
which started its batch: the message carries that one's name, from item to item. As parts of one trace, the attempts of
a large batch would fill it with ten thousand spans over hours.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from handlers.version import VERSION
from sync_core.domain.errors import ConfigurationError
from sync_core.domain.result import Progress
from sync_core.jobs.ports.batch_store import Begun
from sync_core.jobs.ports.work_queue import Delivery

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_HEADER = "traceparent"
_format = TraceContextTextMapPropagator()


@contextmanager
def traces(process: str) -> Iterator[None]:
    """Send this process's traces while the block lasts, if a collector is named; OTEL's own variables say how.

    Raises
    ------
    ConfigurationError
        If a collector is named and what speaks to it is not installed.
    """
    named = next((name for name in _ENDPOINTS if os.environ.get(name)), None)
    if named is None:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise ConfigurationError(f"{named} is set, which needs `sync-analyzer[tracing]`: install it.") from error
    name = os.environ.get("OTEL_SERVICE_NAME", f"sync-analyzer-{process}")
    about = Resource.create({"service.name": name, "service.version": VERSION})
    provider = TracerProvider(resource=about, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        provider.shutdown()


def current_trace() -> str | None:
    """Name the span that is current, as a message carries it; None where nothing is traced."""
    carrier: dict[str, str] = {}
    _format.inject(carrier)
    return carrier.get(_HEADER)


@contextmanager
def delivery_span(delivery: Delivery) -> Iterator[Span]:
    """Make what is done in the block a span of its own, linked to the request that the message names."""
    message = delivery.message
    origin = trace.get_current_span(_format.extract({_HEADER: message.trace or ""})).get_span_context()
    with trace.get_tracer(__name__).start_as_current_span(
        "process item",
        kind=SpanKind.CONSUMER,
        links=[Link(origin)] if origin.is_valid else [],
        attributes={
            "batch_id": message.batch_id,
            "item_index": message.item_index,
            "priority": message.priority.value,
            "receive_count": delivery.receive_count,
        },
    ) as span:
        yield span


def note_progress(begun: Begun, progress: Progress) -> None:
    """Note an attempt's number and how far it is on the current span."""
    span = trace.get_current_span()
    span.set_attributes({"item_id": begun.item.item_id, "attempt": begun.item.attempt, "stage": progress.stage.value})
