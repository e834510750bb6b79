"""Kombu's Redis transport, except that a message is never in no list: taking it and noting who holds it is one step."""

from __future__ import annotations

from .backend import BACKENDS
from .transport import SentinelTransport, Transport, install

__all__ = ["BACKENDS", "SentinelTransport", "Transport", "install"]
