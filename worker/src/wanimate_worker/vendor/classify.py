"""What an answer, or its absence, means: decided here once, without guessing."""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import httpx
from wanimate.contract.cost import MICRO_USD, to_micro_usd
from wanimate.errors import SettingsError

from .answers import (
    Accepted,
    Balance,
    NoBalance,
    NotSent,
    Obstacle,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unknown,
    Unreadable,
)
from .envelope import code_of, is_success, one_line, parse, parse_retry_after, read_envelope
from .refusals import REDIRECTED, message_of, read_account_refusal, read_refusal, task_hint
from .request import TooLate
from .status import read_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .answers import BalanceAnswer, StatusAnswer, SubmitAnswer
    from .envelope import Envelope


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


def classify_submit(
    status: int, headers: Mapping[str, str], body: bytes | None, now: datetime, part: bytes = b""
) -> SubmitAnswer:
    """Return what the answer to a submission means; whatever may hide an accepted task is `Unknown`.

    An envelope whose code differs from a successful HTTP status is understood by its code (vendor document,
    "Response" and "Error Codes").

    Args:
        status: The HTTP status.
        headers: The HTTP headers, by lower-case name or in any case-insensitive mapping.
        body: The body, None if it was too large or could not be read to its end.
        now: The current time with its zone, for a Retry-After date.
        part: What was read of a body that was not read to its end: no more than a task id is taken from it.
    """
    envelope, shown = read_envelope(body), part if body is None else body
    code = code_of(status, envelope)
    if is_success(code):
        if envelope is not None and envelope.task_id is not None:
            return Accepted(envelope.task_id)
        return _unknown("a success without a readable taskId", status, shown)
    refusal = read_refusal(status, code, headers, envelope, shown, now)
    return _unknown(message_of(code, envelope), status, shown) if refusal is None else refusal


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
    envelope = read_envelope(body, is_lenient=True)
    code = code_of(status, envelope)
    if is_success(code) or (envelope is not None and envelope.code == 0 and _names(task_id, envelope, status)):
        return Unreadable(f"HTTP {status} without JSON") if envelope is None else read_status(task_id, envelope)
    if status in REDIRECTED:
        return NotSent(f"redirected with HTTP {status}; check the base URL", Obstacle.GATEWAY)
    refusal = read_account_refusal(status, code, headers, envelope, now)
    if refusal is not None:
        return refusal
    if envelope is not None and envelope.is_error and code in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
        return TaskNotFound(message_of(code, envelope))
    return Unreadable(message_of(code, envelope) if envelope else f"HTTP {status} without the vendor's envelope")


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


def _names(task_id: str, envelope: Envelope, status: int) -> bool:
    """Return whether an answer whose code is none of HTTP's, 0 for example, is about this task all the same."""
    return is_success(status) and str(envelope.data.get("taskId")) == task_id


def _unknown(reason: str, status: int, shown: bytes) -> Unknown:
    hint = task_hint(shown, is_success=is_success(status))
    named = f"; the answer shows the id {hint}" if hint else ""
    return Unknown(f"HTTP {status}: {reason}{named}", hint)


def _reason(error: Exception) -> str:
    if isinstance(error, TooLate | SettingsError):
        return str(error)
    # A LocalProtocolError quotes the header it objects to, which may be the one with the API key.
    quoted = "" if isinstance(error, httpx.LocalProtocolError) else one_line(str(error))
    return f"{type(error).__name__}: {quoted}" if quoted else type(error).__name__


#: A larger balance is no balance, in US dollars.
MAX_USD: Final = 1e9
#: By these names an object may hold it, although the vendor documents a bare number.
_NAMES: Final = ("balance", "remaining", "amount")
_NUMBER: Final = re.compile(r"\s*\$?\s*(-?[0-9]{1,20}(?:\.[0-9]{1,20})?)\s*(?:USD)?\s*", re.ASCII)
#: There is no such address, or nothing behind it.
_ABSENT: Final = frozenset({404, 405, 410, 501})
#: It is elsewhere; the key goes nowhere else.
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
#: The key is wrong, or may not read it. Neither says that it may not submit.
_REFUSED: Final = frozenset({401, 402, 403})


def classify_balance(status: int, headers: Mapping[str, str], body: bytes | None, now: datetime) -> BalanceAnswer:
    """Return what the answer to a request for the balance means.

    Args:
        status: The HTTP status.
        headers: The HTTP headers, by lower-case name or in any case-insensitive mapping.
        body: The body, None if it was too large or could not be read to its end.
        now: The current time with its zone, for a Retry-After date.
    """
    envelope = read_envelope(body)
    code = code_of(status, envelope)
    message = (envelope.message if envelope is not None else "") or f"HTTP {status}, code {code}"
    if code in _ABSENT or status in _REDIRECTED:
        return NoBalance(f"the vendor has none to tell ({message})")
    if code in _REFUSED:
        return Unauthorised(code, message)
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(parse_retry_after(headers.get("retry-after"), now), message, None)
    if envelope is None or not is_success(code):
        return Unreadable(message if envelope is not None else f"HTTP {status} without the vendor's envelope")
    return _read(parse(body or b"").get("data"))


def classify_balance_error(error: Exception) -> BalanceAnswer:
    """Return that the request was not sent, or not answered.

    Args:
        error: What the HTTP client raised.
    """
    known = classify_submit_error(error)
    return known if isinstance(known, NotSent) else Unreadable(known.reason)


def _read(data: Any) -> Balance | Unreadable:
    if isinstance(data, dict):
        amounts = [amount for name in _NAMES if (amount := _number(data.get(name))) is not None]
        usd = amounts[0] if len(set(amounts)) == 1 else None
    else:
        usd = _number(data)
    if usd is None:
        return Unreadable("the balance is not a number")
    if not 0 <= usd <= MAX_USD:
        return Unreadable("the balance is negative or beyond all bounds")
    return Balance(to_micro_usd(usd))


def _number(value: Any) -> float | None:
    """Return a finite number, also one in a text; None for anything else."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        value = float(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A whole number may be too large for a float.
    if abs(value) > MAX_USD * MICRO_USD:
        return math.inf if value > 0 else -math.inf
    return float(value) if math.isfinite(value) else None
