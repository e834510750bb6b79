"""One request to the vendor: its body and bounds, the last check before it leaves, and what logs tell of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from wanimate.contract import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Bounds on the steps of one request; all in seconds.

    A submission may read for longer than a status request: giving up on it leaves a job that may have been paid for,
    giving up on a status request only means asking again. An exchange as a whole is bounded by about the sum of its
    steps, which must stay below the lease of a submission (looking up the host's name is bounded by the resolver).

    Args:
        connect_seconds: To connect, TLS included; also to get a connection from the pool.
        write_seconds: To hand the request to the network.
        submit_read_seconds: Silence after which a submission counts as unanswered.
        status_read_seconds: Silence after which a status request counts as unanswered.
    """

    connect_seconds: float = 5.0
    write_seconds: float = 10.0
    submit_read_seconds: float = 30.0
    status_read_seconds: float = 15.0


def request_body(job: Job, callback_url: str | None = None) -> dict[str, Any]:
    """Return the body of the request that creates a task (vendor document, "Request Body" and "Parameters").

    Args:
        job: The job; its queue options (priority, labels, …) are not sent.
        callback_url: Where the vendor reports the end; without it the task is only polled.
    """
    body: dict[str, Any] = {"request_type": "async"}
    if callback_url is not None:
        body = {"request_type": "callback", "callback_url": callback_url}
    given: dict[str, Any] = {
        "mode": "standard",
        "type": job.type,
        "image_urls": [job.image_url],
        "video_urls": [job.video_url],
        "resolution": job.resolution,
        "seed": job.seed,
    }
    if job.prompt is not None:
        given["prompt"] = job.prompt
    return {**body, "provider": job.provider, "input": given}


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
        self.length: Final = len(body)
        #: Whether the body may have been written, in part at least.
        self.has_left = False

    def __iter__(self) -> Iterator[bytes]:
        if self._body:
            self.check()
            self.has_left = True
            yield self._body

    def trace(self, event: str, _info: dict[str, Any]) -> None:
        """Take an event of httpcore; raise `TooLate` where the first byte is about to be written, and may not be."""
        if event.endswith(_FIRST_BYTE):
            self.check()

    def check(self) -> None:
        """Raise `TooLate` if the request may no longer be sent."""
        if self._may_send is not None and (why := self._may_send()):
            raise TooLate(why)


#: What an id of the vendor may look like; anything else is not repeated in a log.
_VENDOR_ID: Final = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


@dataclass(slots=True)
class Exchange:
    """Names one request, and is filled in by the client that sends it.

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

    def answered(self, status: int, headers: Mapping[str, str], secret: str) -> None:
        """Note what the head of the answer says, unless it quotes the secret."""
        self.status = status
        named = headers.get("x-request-id", "")
        if named != self.request_id and secret not in named and _VENDOR_ID.fullmatch(named):
            self.vendor_request_id = named

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
