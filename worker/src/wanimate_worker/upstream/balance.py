"""What an answer about the account's balance means. Source: vendor's account pages, "current-balance"."""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from wanimate.contract.cost import MICRO_USD, to_micro_usd

from .answers import Balance, NoBalance, NotSent, Throttled, Unauthorised, Unreadable
from .classify import classify_submit_error
from .envelope import code_of, is_success, read_envelope
from .lenient import parse
from .retry_after import parse_retry_after

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from .answers import BalanceAnswer

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
