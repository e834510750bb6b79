"""Checks of single JSON values; each returns the value or raises ValueError with what it must be."""

from math import isfinite
from typing import Literal

#: How a 429 says when to come back.
RetryAfter = Literal["seconds", "http-date"]


def rate(value: object) -> float:
    """Accept a number between 0 and 1."""
    number = amount(value)
    if number > 1:
        raise ValueError("must be a number between 0 and 1")
    return number


def amount(value: object) -> float:
    """Accept a finite number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or value < 0:
        raise ValueError("must be a number of at least 0")
    return float(value)


def count(value: object) -> int:
    """Accept an integer of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("must be an integer of at least 0")
    return value


def positive_count(value: object) -> int:
    """Accept an integer of at least 1."""
    if not isinstance(value, int) or count(value) < 1:
        raise ValueError("must be an integer of at least 1")
    return value


def error_status(value: object) -> int:
    """Accept an HTTP status of an error."""
    if isinstance(value, bool) or not isinstance(value, int) or not 400 <= value <= 599:  # noqa: PLR2004  # 4xx and 5xx
        raise ValueError("must be an integer between 400 and 599")
    return value


def not_found_status(value: object) -> int:
    """Accept 400 or 404."""
    if isinstance(value, int) and value in (400, 404):  # either is documented
        return value
    raise ValueError("must be 400 or 404")


def text(value: object) -> str | None:
    """Accept null or text."""
    if value is None or isinstance(value, str):
        return value
    raise ValueError("must be null or text")


def switch(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")  # noqa: TRY004  # one kind of error for every check
    return value


def retry_after(value: object) -> RetryAfter | None:
    """Accept null, "seconds" or "http-date"."""
    if value is None or value == "seconds" or value == "http-date":  # noqa: PLR1714  # the type checker narrows these
        return value
    raise ValueError('must be null, "seconds" or "http-date"')


def keys(value: object) -> tuple[str, ...]:
    """Accept a list of strings."""
    if not isinstance(value, list | tuple) or not all(isinstance(key, str) for key in value):
        raise ValueError("must be a list of strings")
    return tuple(value)


def windows(value: object) -> tuple[tuple[float, float], ...]:
    """Accept a list of [start, end] pairs of at least 0, each ending after it starts."""
    message = "must be a list of [start_seconds, end_seconds], each ending after it starts"
    if not isinstance(value, list | tuple):
        raise ValueError(message)  # noqa: TRY004  # one kind of error for every check
    return tuple(_window(pair, message) for pair in value)


def _window(pair: object, message: str) -> tuple[float, float]:
    try:
        start, end = (amount(edge) for edge in pair)  # type: ignore[attr-defined]  # TypeError is caught below
    except (TypeError, ValueError):
        raise ValueError(message) from None
    if end <= start:
        raise ValueError(message)
    return start, end
