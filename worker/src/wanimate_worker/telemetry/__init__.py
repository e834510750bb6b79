"""What a person sees of a running process: its log and its traces."""

from __future__ import annotations

from .logs import get_logger, set_up_logs
from .tracing import Tracing, open_tracing

__all__ = ["Tracing", "get_logger", "open_tracing", "set_up_logs"]
