"""What an answer, or its absence, means: decided here once, without guessing."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import httpx
from wanimate.errors import SettingsError

from .answers import Accepted, Forgotten, NotSent, Obstacle, Rejected, Throttled, Unauthorised, Unknown, Unreadable
from .envelope import one_line, read_envelope, tells_concurrency
from .retry_after import parse_retry_after
from .sending import TooLate
from .status_data import read_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .answers import StatusAnswer, SubmitAnswer
    from .envelope import Envelope

#: 401 and 403 as the design says. 402 too: an account without credit would have every job of a backlog refused, one
#: after the other, although nothing is wrong with any of them.
_UNAUTHORISED: Final = frozenset({401, 402, 403})

#: The name the vendor has for an empty account (vendor's page "Error Codes"), whatever the status it comes with.
_NO_CREDIT: Final = "INSUFFICIENT_CREDITS"

#: "Go elsewhere with the same request": it was not processed. Not 303, which is how a server answers a POST that it
#: did process, and none of the other 3xx (RFC 9110, section 15.4).
_REDIRECTED: Final = frozenset({301, 302, 307, 308})

#: What a server or gateway that is not the vendor's API says of a wrong path, or before it passed the request on.
#: Without the vendor's envelope it is no verdict on the job: a wrong base URL must not refuse a whole backlog.
_NOT_THE_VENDOR: Final = frozenset({404, 405, 407, 408})

#: Raised only before the first byte of a request is written (httpx documentation, "Exceptions", and httpcore's
#: sources): name lookup, TCP connect and TLS handshake, also to or through a proxy; waiting for a free connection;
#: a URL that cannot be requested.
_BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    TooLate,
    SettingsError,
)


def classify_submit(status: int, headers: Mapping[str, str], body: bytes | None, now: datetime) -> SubmitAnswer:
    """Return what the answer to a submission means; whatever may hide an accepted task is `Unknown`.

    An envelope whose code differs from a successful HTTP status is understood by its code (vendor document,
    "Response" and "Error Codes").

    Args:
        status: The HTTP status.
        headers: The HTTP headers, by lower-case name or in any case-insensitive mapping.
        body: The body, None if it was too large or could not be read to its end.
        now: The current time with its zone, for a Retry-After date.
    """
    envelope = read_envelope(body)
    code = _code(status, envelope)
    if _is_success(code):
        task_id = envelope.task_id if envelope is not None else None
        return Unknown(f"HTTP {status} without a readable taskId") if task_id is None else Accepted(task_id)
    refusal = _not_the_vendor(status, envelope) or _refusal(code, headers, envelope, now)
    if refusal is not None:
        return refusal
    if _is_refusal(code):
        named = envelope.fail_code if envelope is not None else None
        if named == _NO_CREDIT:
            return Unauthorised(HTTPStatus.PAYMENT_REQUIRED, _message(code, envelope))
        return Rejected(named or str(code), _message(code, envelope))
    return Unknown(_message(code, envelope))


def classify_status(
    task_id: str, status: int, headers: Mapping[str, str], body: bytes | None, now: datetime
) -> StatusAnswer:
    """Return what the answer to a status request means; whatever tells nothing about the task is `Unreadable`.

    A 400 or 404 means that the vendor does not know the task only if it comes in the vendor's envelope: a gateway's
    own error page knows nothing about tasks.

    Args:
        task_id: The task that was asked about.
        status: The HTTP status.
        headers: The HTTP headers, by lower-case name or in any case-insensitive mapping.
        body: The body, None if it was too large or could not be read to its end.
        now: The current time with its zone, for a Retry-After date.
    """
    envelope = read_envelope(body)
    code = _code(status, envelope)
    if _is_success(code):
        return Unreadable(f"HTTP {status} without JSON") if envelope is None else read_status(task_id, envelope)
    if status in _REDIRECTED:
        return NotSent(f"redirected with HTTP {status}; check the base URL")
    refusal = _refusal(code, headers, envelope, now)
    if refusal is not None:
        return refusal
    is_vendors = envelope is not None and envelope.code is not None
    if is_vendors and code in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
        return Forgotten(_message(code, envelope))
    return Unreadable(_message(code, envelope))


def _not_the_vendor(status: int, envelope: Envelope | None) -> NotSent | None:
    """Return what shows that the submission never came to the vendor's API, if anything does."""
    if status in _REDIRECTED:
        return NotSent(f"redirected with HTTP {status}; check the base URL")
    if status in _NOT_THE_VENDOR and (envelope is None or envelope.code is None):
        return NotSent(f"HTTP {status}, but not from the vendor's API; check the base URL")
    return None


def not_sent(error: Exception) -> NotSent:
    """Return what a request has come to that raised before anything of it could be processed.

    Args:
        error: What was raised.
    """
    return NotSent(_reason(error), Obstacle.STALE if isinstance(error, TooLate) else Obstacle.NETWORK)


def classify_submit_error(error: Exception) -> NotSent | Unknown:
    """Return whether a submission that raised was surely not sent, or may have been.

    A closed connection is `Unknown` also when it was a reused one that the server closed while idle: nothing tells
    that apart from a server that read the request and died.

    Args:
        error: What the HTTP client raised.
    """
    return not_sent(error) if isinstance(error, _BEFORE_SENDING) else Unknown(_reason(error))


def classify_status_error(error: Exception) -> NotSent | Unreadable:
    """Return whether a status request that raised was surely not sent, or was not answered.

    Args:
        error: What the HTTP client raised.
    """
    return not_sent(error) if isinstance(error, _BEFORE_SENDING) else Unreadable(_reason(error))


def _refusal(
    code: int, headers: Mapping[str, str], envelope: Envelope | None, now: datetime
) -> Unauthorised | Throttled | None:
    """Read the refusals that concern the account rather than one task."""
    message = _message(code, envelope)
    if code in _UNAUTHORISED:
        return Unauthorised(code, message)
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        wait = parse_retry_after(headers.get("retry-after"), now)
        return Throttled(wait, message, tells_concurrency(envelope.message) if envelope is not None else None)
    return None


def _code(status: int, envelope: Envelope | None) -> int:
    if _is_success(status) and envelope is not None and envelope.code is not None:
        return envelope.code
    return status


def _is_success(code: int) -> bool:
    return HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES


def _is_refusal(code: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR


def _message(code: int, envelope: Envelope | None) -> str:
    return (envelope.message if envelope is not None else "") or f"code {code} without a message"


def _reason(error: Exception) -> str:
    if isinstance(error, TooLate | SettingsError):
        return str(error)
    # A LocalProtocolError quotes the header it objects to, which may be the one with the API key.
    told = "" if isinstance(error, httpx.LocalProtocolError) else one_line(str(error))
    return f"{type(error).__name__}: {told}" if told else type(error).__name__
