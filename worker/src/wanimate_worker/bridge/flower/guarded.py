"""Flower, closed to pages of the Internet, and in control of our own workers only."""

from __future__ import annotations

from typing import Any

from flower.app import Flower
from tornado.web import ErrorHandler, OutputTransform

from ...addresses import is_loopback
from ...roster import is_ours
from .handlers import add_handlers
from .safety import is_closed


class GuardedFlower(Flower):
    """Flower's application with our handlers, headers and checks."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.add_transform(_Unframed)
        add_handlers(self)

    @property
    def workers(self) -> dict[str, Any]:
        """The workers that have said that they are ours; all apps of one Redis database share the remote control."""
        return {name: facts for name, facts in super().workers.items() if is_ours(facts.get("registered", ()))}

    def find_handler(self, request: Any, **options: Any) -> Any:
        """Answer a request; without a password, to names of this machine only.

        A page of the Internet may make a browser on this machine ask, under a name of its own (DNS rebinding).
        """
        asks_nobody = not (is_closed(self.options) or self.options.unix_socket)
        if asks_nobody and not is_loopback(request.host_name):
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": 403})
        return super().find_handler(request, **options)


class _Unframed(OutputTransform):
    """Puts what forbids other pages to show ours in a frame on every answer."""

    def transform_first_chunk(self, status_code: int, headers: Any, chunk: bytes, finishing: bool) -> Any:  # noqa: FBT001
        headers["Content-Security-Policy"] = "frame-ancestors 'none'"
        headers["X-Frame-Options"] = "DENY"
        return super().transform_first_chunk(status_code, headers, chunk, finishing)
