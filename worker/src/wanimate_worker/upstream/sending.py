"""The last look before a request leaves this process, and whether it has left."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Returns why a request may no longer be sent; empty while it may.
MaySend = Callable[[], str]

#: The last event of httpcore before the first byte of a request is written (httpx documentation, "Extensions").
_FIRST_BYTE: Final = ".send_request_headers.started"


class TooLate(Exception):
    """The request may no longer be sent, and was not; the message says why."""


class Sending(httpx.SyncByteStream):
    """One request on its way out: asks at each of its last steps whether it may still be sent.

    It is also the body of the request. httpx takes the body from it when the headers are written, so a submission whose
    body was never taken was not submitted: an incomplete message is no request (RFC 9112, section 8). This holds
    whatever the events of httpcore are called.

    Args:
        body: The body, empty for a request without one.
        may_send: Asked before the first byte of the headers, and before the first byte of the body.
    """

    def __init__(self, body: bytes, may_send: MaySend | None) -> None:
        self._body = body
        self._may_send = may_send
        #: Whether the body may have been written, in part at least.
        self.has_left = False

    @property
    def length(self) -> int:
        """The bytes of the body, 0 without one."""
        return len(self._body)

    def __iter__(self) -> Iterator[bytes]:
        if self._body:
            self.check()
            self.has_left = True
            yield self._body

    def trace(self, event: str, _info: dict[str, Any]) -> None:
        """Take an event of httpcore.

        Raises:
            TooLate: The first byte is about to be written, and may not be.
        """
        if event.endswith(_FIRST_BYTE):
            self.check()

    def check(self) -> None:
        """Raise if the request may no longer be sent.

        Raises:
            TooLate: It may not.
        """
        why = self._may_send() if self._may_send is not None else ""
        if why:
            raise TooLate(why)
