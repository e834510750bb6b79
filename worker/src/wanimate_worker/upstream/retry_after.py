"""The Retry-After header."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

#: A longer wait is a mistake of the sender more often than a plan; the next answer can ask again. In seconds.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0

_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return how long to wait in seconds, or None if the header is missing, unreadable or in the past.

    Seconds or an HTTP-date (RFC 9110, section 10.2.3); seconds may have decimals, which the RFC does not have but
    some gateways send. Capped at `MAX_RETRY_AFTER_SECONDS`.

    Args:
        value: The header, None if there was none.
        now: The current time with its zone; an HTTP-date is relative to it.
    """
    text = (value or "").strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now)
    if seconds is None or seconds < 0:
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" in the header: UTC, by RFC 5322
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
