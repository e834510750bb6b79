"""Figures as text, the same on the page and in the terminal."""

from __future__ import annotations

from typing import Final

from wanimate.text import format_duration

#: Shown for a missing figure.
_NOTHING: Final = "-"
_TENTHS_BELOW: Final = 10.0


def span(seconds: float | None) -> str:
    """Return a time with its unit: milliseconds below a second, tenths below ten, else the two largest units."""
    if seconds is None:
        return _NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < _TENTHS_BELOW else format_seconds(seconds)


def format_seconds(seconds: float) -> str:
    """Return a time in its two largest units."""
    return format_duration(round(seconds * 1000))


def number(value: float | None) -> str:
    """Return a number with separators, and one decimal where it is small and not whole."""
    if value is None:
        return _NOTHING
    return f"{value:,.1f}" if abs(value) < _TENTHS_BELOW and value != round(value) else f"{value:,.0f}"


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.0f} %"


def capitalize(text: str) -> str:
    """Return a text as the beginning of a sentence; the rest of it as it is."""
    return text[:1].upper() + text[1:]
