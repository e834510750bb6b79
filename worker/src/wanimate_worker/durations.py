"""Durations as people write them."""

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
