"""JSON of whatever a message may hold: it never fails, and it can be read again by any JSON parser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from kombu.utils.json import dumps

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What is nested deeper is kept as text: parsers have limits, and they differ.
_MAX_LEVELS: Final = 50
#: So much is kept of what is kept as text, in characters.
_MAX_TEXT: Final = 1000


def plain(value: object, max_chars: int | None = None) -> Any:
    """Return a value as JSON holds it: types that JSON lacks in kombu's form, what has none as text.

    Args:
        value: Anything.
        max_chars: A longer value is kept as the beginning of its text; None for any length.
    """
    try:
        text = dumps(value)
        held = json.loads(text)
        if (max_chars is None or len(text) <= max_chars) and _levels(held) <= _MAX_LEVELS:
            return held
    except Exception:  # noqa: BLE001 - whatever an encoder raises
        return shown(value)
    return text[:_MAX_TEXT]


def plain_dumps(value: Mapping[str, Any]) -> str:
    """Return the JSON text of a dictionary, each of its values as `plain` returns it; the text is ASCII."""
    return json.dumps({name: plain(part) for name, part in value.items()})


def shown(value: object) -> str:
    """Return the beginning of a value's representation, or the name of its type if it has none."""
    try:
        return repr(value)[:_MAX_TEXT]
    except Exception:  # noqa: BLE001 - whatever a representation raises
        return f"({type(value).__name__})"


def _levels(value: object) -> int:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_levels, parts), default=0)
