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

    It imports nothing: code that is in a span has imported OpenTelemetry, and a process that forks during an import in
    another thread leaves its child a lock that is never released.
    """
    get_current_span = getattr(sys.modules.get("opentelemetry.trace"), "get_current_span", None)
    span = None if get_current_span is None else get_current_span().get_span_context()
    if span is None or not span.is_valid:
        return {}
    # W3C Trace Context, 3.2 and 3.3.
    traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    return trace_of({"traceparent": traceparent, "tracestate": span.trace_state.to_header() or None})


def trace_of(headers: Mapping[str, Any] | None) -> dict[str, str]:
    """Return those headers of a message that name its trace."""
    named = {name: (headers or {}).get(name) for name in TRACE_HEADERS}
    return {name: value for name, value in named.items() if isinstance(value, str) and len(value) <= _MAX_CHARACTERS}
