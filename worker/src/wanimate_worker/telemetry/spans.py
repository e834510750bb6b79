"""The spans of jobs, made with OpenTelemetry's API; only this module imports it."""

from __future__ import annotations

import functools
import os
import time
from importlib.metadata import entry_points, version
from typing import TYPE_CHECKING, Any, Final, ParamSpec

from opentelemetry import trace
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from wanimate.contract.trace_context import trace_of

from .logs import get_logger
from .tracing import Tracing, nothing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context
    from wanimate.contract import Outcome

    from ..ledger import Deliver, JobFields, Submit
    from ..vendor import Exchange

log = get_logger(__name__)

_P = ParamSpec("_P")

_W3C: Final = TraceContextTextMapPropagator()
#: Nanoseconds in a millisecond.
_NS: Final = 1_000_000


def set_up_sdk() -> None:
    """Set the SDK up from the `OTEL_*` variables, unless a provider is set up already."""
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    # The specification's own defaults, which the SDK leaves to the application.
    os.environ.setdefault("OTEL_TRACES_EXPORTER", "otlp")
    os.environ.setdefault("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
    os.environ.setdefault("OTEL_SERVICE_NAME", "wanimate-worker")
    for configurator in entry_points(group="opentelemetry_configurator"):
        configurator.load()().configure()


def _harmless(make: Callable[_P, Any]) -> Callable[_P, Any]:
    """Let a job go on without its spans, whatever goes wrong while they are made."""

    @functools.wraps(make)
    def made(*args: _P.args, **kwargs: _P.kwargs) -> Any:
        try:
            return make(*args, **kwargs)
        except Exception:
            log.exception("unexpected error; a span was not created")
            return nothing

    return made


class Spans(Tracing):
    """Makes the spans of jobs with whatever provider is set up."""

    def __init__(self) -> None:
        self._tracer = trace.get_tracer("wanimate_worker", version("wanimate-worker"))

    @_harmless
    def record(self, message: dict[str, Any], job_id: str, request: Mapping[str, Any]) -> Callable[[], None]:
        attributes = {
            "wanimate.job.id": job_id,
            "wanimate.job.type": request["type"],
            "wanimate.job.resolution": request.get("resolution", "480p"),
        }
        span = self._tracer.start_span("wanimate.job", _context(message.get("headers")), SpanKind.CONSUMER, attributes)
        headers: dict[str, Any] = {}
        _W3C.inject(headers, trace.set_span_in_context(span))
        if headers:
            message["headers"] = {**(message.get("headers") or {}), **trace_of(headers)}
        return span.end

    @_harmless
    def submitted(
        self, headers: Mapping[str, Any] | None, job_id: str, step: Submit, answer: object, exchange: Exchange
    ) -> None:
        parent, attributes = _context(headers), {"wanimate.job.id": job_id, "wanimate.attempt": step.attempt}
        if step.attempt == 1 and step.job.waiting_at_ms is not None:
            self._span("wanimate.wait", parent, attributes, step.job.waiting_at_ms * _NS, step.begun_at_ms * _NS)
        if not exchange.sent_at_ns:
            return
        attributes |= _request(exchange)
        task_id = getattr(answer, "task_id", None)
        if task_id is not None:
            attributes["wanimate.task.id"] = task_id
        error = type(answer).__name__ if task_id is None else None
        times = exchange.sent_at_ns, exchange.ended_at_ns
        self._span("wanimate.submit", parent, attributes, *times, SpanKind.CLIENT, error)

    @_harmless
    def ran(self, job: JobFields, outcome: Outcome, exchange: Exchange) -> None:
        parent, begun_at_ms = _context(job.message.get("headers")), job.submitted_at_ms or job.begun_at_ms
        attributes = {"wanimate.job.id": job.job_id, "wanimate.task.id": job.asks_about or "", **_ending(outcome)}
        begun_at_ns = None if begun_at_ms is None else begun_at_ms * _NS
        within = self._span(
            "wanimate.run", parent, attributes, begun_at_ns, exchange.ended_at_ns, error=outcome.error or None
        )
        times = exchange.sent_at_ns, exchange.ended_at_ns
        self._span("wanimate.poll", within, _request(exchange), *times, SpanKind.CLIENT)

    @_harmless
    def delivered(self, headers: Mapping[str, Any] | None, job_id: str, step: Deliver, begun_at_ns: int) -> None:
        parent, attributes = _context(headers), {"wanimate.job.id": job_id, **_ending(step.outcome)}
        if not step.attempts and step.waiting_at_ms is not None and step.settled_at_ms is not None:
            self._span("wanimate.wait", parent, attributes, step.waiting_at_ms * _NS, step.settled_at_ms * _NS)
        self._span("wanimate.deliver", parent, attributes, begun_at_ns, time.time_ns(), SpanKind.PRODUCER)

    def _span(
        self,
        name: str,
        parent: Context,
        attributes: Mapping[str, Any],
        begun_at_ns: int | None,
        ended_at_ns: int,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str | None = None,
    ) -> Context:
        """Make a span, and return the context for spans within it.

        An error is the name of a class of ours: a message may quote what must not be shown.
        """
        span = self._tracer.start_span(name, parent, kind, attributes, start_time=begun_at_ns)
        if error:
            span.set_attribute("error.type", error)
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(max(ended_at_ns, begun_at_ns or 0))
        return trace.set_span_in_context(span)


def _context(headers: Mapping[str, Any] | None) -> Context:
    # Not in whatever span this thread may be in: that of another job, if Celery is instrumented.
    return _W3C.extract(trace_of(headers), trace.set_span_in_context(trace.INVALID_SPAN))


def _request(exchange: Exchange) -> dict[str, Any]:
    attributes = {
        "wanimate.request.id": exchange.request_id,
        "wanimate.vendor.request.id": exchange.vendor_request_id,
        "http.response.status_code": exchange.status,
    }
    return {name: value for name, value in attributes.items() if value is not None}


def _ending(outcome: Outcome) -> dict[str, Any]:
    return {"wanimate.outcome": outcome.kind.value, **({"error.type": outcome.error} if outcome.error else {})}
