"""Webhooks: the ends of jobs, posted to backends; signed, to addresses that are allowed, until they are taken."""

from __future__ import annotations

from .client import Answer, send_test
from .sender import Sender

__all__ = ["Answer", "Sender", "send_test"]
