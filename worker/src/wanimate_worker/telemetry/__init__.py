"""What a person sees of a running process: its log and its traces."""

from __future__ import annotations

import os
from typing import Final

from .logs import get_logger, set_up_logs
from .tracing import Tracing

__all__ = ["Tracing", "get_logger", "open_tracing", "set_up_logs"]

log = get_logger(__name__)

#: Any of these asks for traces (OpenTelemetry specification, "Environment Variable Specification").
_ASKS: Final = (
    "OTEL_TRACES_EXPORTER",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_CONFIG_FILE",
)


def open_tracing() -> Tracing:
    """Return what makes spans, if the environment asks for them with `OTEL_*` variables.

    Else OpenTelemetry is not imported. They also set up the SDK, unless `opentelemetry-instrument` has done so.
    """
    is_wanted = any(os.environ.get(name, "none") not in {"", "none"} for name in _ASKS)
    if not is_wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Tracing()
    try:
        from .spans import Spans, set_up_sdk
    except ImportError:
        log.warning("tracing is off although OTEL_* variables are set; install wanimate-worker[otel]")
        return Tracing()
    set_up_sdk()
    return Spans()
