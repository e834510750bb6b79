"""Durations as people write and read them."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def read_seconds(text: str) -> float:
    """Return the seconds in `90`, `90s`, `15m`, `2h` or `3d`.

    Raises:
        ValueError: This is no such duration.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise ValueError(f"a time is expected, such as 90, 15m, 2h or 3d; got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def spelled(milliseconds: int) -> str:
    """Return a duration in its two largest units."""
    seconds = max(0, milliseconds) // 1000
    days, hours, minutes = seconds // 86_400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days}d {hours}h"
    if hours:
        return f"{hours}h {minutes}m"
    return f"{minutes}m {seconds % 60}s" if minutes else f"{seconds}s"
