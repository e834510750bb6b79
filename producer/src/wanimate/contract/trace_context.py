"""The trace of a job in its message headers (W3C Trace Context)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: The message headers of the standard, which other instrumented Celery code uses as well.
TRACE_HEADERS: Final = ("traceparent", "tracestate")
#: Longer values are dropped, as the standard allows (W3C Trace Context, 3.3.1.5).
_MAX_CHARACTERS: Final = 512


def current_trace() -> dict[str, str]:
    """Return the headers of the current span, if there is one.

    This imports nothing: code in a span has imported OpenTelemetry, and a fork during an import in another thread would
    leave the child a locked import lock.
    """
    get_current_span = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    span = None if get_current_span is None else get_current_span().get_span_context()
    if span is None or not span.is_valid:
        return {}
    # W3C Trace Context, 3.2 and 3.3.
    traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    return trace_of({"traceparent": traceparent, "tracestate": span.trace_state.to_header() or None})


def trace_of(headers: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the trace headers of a message."""
    named = {name: (headers or {}).get(name) for name in TRACE_HEADERS}
    return {name: value for name, value in named.items() if isinstance(value, str) and len(value) <= _MAX_CHARACTERS}
