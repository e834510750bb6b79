"""What the answer to a request for the account's balance means."""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from wanimate.contract.cost import MICRO_USD, to_micro_usd

from .answers import Balance, NoBalance, Throttled, Unauthorised, Unreadable
from .envelope import is_success

if TYPE_CHECKING:
    from .answers import BalanceAnswer
    from .envelope import HttpAnswer

#: A larger balance is no balance, in US dollars.
_MAX_USD: Final = 1e9
#: By these names an object may hold it, although the vendor documents a bare number.
_NAMES: Final = ("balance", "remaining", "amount")
_NUMBER: Final = re.compile(r"\s*\$?\s*(-?[0-9]{1,20}(?:\.[0-9]{1,20})?)\s*(?:USD)?\s*", re.ASCII)
#: There is no such address, or nothing behind it; or it is elsewhere, and the key goes nowhere else.
_ABSENT: Final = frozenset({404, 405, 410, 501})
_REDIRECTED: Final = frozenset({301, 302, 303, 307, 308})
#: The key is wrong, or may not read it. Neither says that it may not submit.
_REFUSED: Final = frozenset({401, 402, 403})


def classify_balance(answer: HttpAnswer) -> BalanceAnswer:
    """Return what the answer to a request for the balance means."""
    code, message = answer.code, answer.vendor_message or f"HTTP {answer.status}, code {answer.code}"
    if code in _ABSENT or answer.status in _REDIRECTED:
        return NoBalance(f"the vendor does not report it ({message})")
    if code in _REFUSED:
        return Unauthorised(code, message)
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(answer.retry_after_seconds, message, None)
    if answer.envelope is None:
        return Unreadable(f"HTTP {answer.status} without the vendor's envelope")
    return _read(answer.envelope.get("data")) if is_success(code) else Unreadable(message)


def _read(data: Any) -> Balance | Unreadable:
    given = [data.get(name) for name in _NAMES] if isinstance(data, dict) else [data]
    amounts = {amount for each in given if (amount := _number(each)) is not None}
    if len(amounts) != 1:
        return Unreadable("the balance is not a number")
    [usd] = amounts
    if not 0 <= usd <= _MAX_USD:
        return Unreadable("the balance is negative or too large")
    return Balance(to_micro_usd(usd))


def _number(value: Any) -> float | None:
    """Return a finite number, also one in a text; None for anything else."""
    if isinstance(value, str):
        match = _NUMBER.fullmatch(value)
        value = float(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A whole number may be too large for a float.
    if abs(value) > _MAX_USD * MICRO_USD:
        return math.inf if value > 0 else -math.inf
    return float(value) if math.isfinite(value) else None
