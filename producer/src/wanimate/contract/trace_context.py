"""The trace that a job belongs to, as it travels with its messages (W3C Trace Context)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The message headers; the names are those of the standard, which other instrumented Celery code uses too.
TRACE_HEADERS: Final = ("traceparent", "tracestate")
#: Longer values are dropped: a vendor of traces must expect that (W3C Trace Context, 3.3.1.5).
_MAX_CHARACTERS: Final = 512


def current_trace() -> dict[str, str]:
    """Return the headers of the span that the caller is in; none without one.

    Nothing is imported for it: code that is in a span has imported OpenTelemetry.
    """
    if "opentelemetry.trace" not in sys.modules:
        return {}
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    headers: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(headers)
    return trace_of(headers)


def trace_of(headers: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the headers of a message that name its trace.

    Args:
        headers: The message's own headers.
    """
    named = {name: (headers or {}).get(name) for name in TRACE_HEADERS}
    return {name: value for name, value in named.items() if isinstance(value, str) and len(value) <= _MAX_CHARACTERS}
