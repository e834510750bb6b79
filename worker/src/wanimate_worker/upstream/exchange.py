"""One request to the vendor as logs and traces tell of it."""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What an id of the vendor may look like; anything else is not repeated in a log.
_VENDOR_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(slots=True)
class Exchange:
    """Names one request, and is filled in by whoever sends it.

    Args:
        request_id: The request's id, sent as `X-Request-Id`.
        vendor_request_id: The vendor's own id for it, if its answer carries one.
        status: The HTTP status; None without an answer.
        sent_at_ns: When it was sent, Unix time in ns; 0 if it never was.
        ended_at_ns: When its answer was read, or it failed.
    """

    request_id: str = field(default_factory=lambda: secrets.token_hex(8))
    vendor_request_id: str | None = None
    status: int | None = None
    sent_at_ns: int = 0
    ended_at_ns: int = 0

    def begin(self) -> None:
        """Note that the request is being sent."""
        self.sent_at_ns = self.ended_at_ns = time.time_ns()

    def answered(self, status: int, headers: Mapping[str, str], secret: str) -> None:
        """Note what the head of the answer says.

        Args:
            status: The HTTP status.
            headers: The HTTP headers.
            secret: What the other side may have quoted and must not be shown.
        """
        self.status = status
        told = headers.get("x-request-id", "")
        if told != self.request_id and secret not in told and _VENDOR_ID.fullmatch(told):
            self.vendor_request_id = told

    def end(self) -> None:
        """Note that the exchange is over."""
        self.ended_at_ns = time.time_ns()

    def facts(self) -> dict[str, Any]:
        """Return what a log line tells of it; nothing if it was never sent."""
        if not self.sent_at_ns:
            return {}
        return {
            "request_id": self.request_id,
            "vendor_request_id": self.vendor_request_id,
            "http_status": self.status,
            "request_ms": round((self.ended_at_ns - self.sent_at_ns) / 1e6, 1),
        }
