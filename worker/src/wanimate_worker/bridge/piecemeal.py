"""A bulk whose body cannot be read as a whole: its jobs are read one by one, so that one fails alone."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from kombu.utils.json import loads

from .dead_letters import is_name

#: Where the jobs of a `wanimate.enqueue` body begin.
_JOBS: Final = re.compile(r'"jobs"\s*:\s*\[')
_BETWEEN: Final = re.compile(r"[\s,]*")


def read_piecemeal(body: Any) -> tuple[list[Any], list[str]]:
    """Return the pairs of id and request that Celery can read, and the ids of the others.

    Args:
        body: The body of the message, JSON or something like it.
    """
    sound, damaged = [], []
    for pair in _pairs(body):
        if _is_sound(pair):
            sound.append(pair)
        elif isinstance(pair, list) and pair and is_name(pair[0]):
            damaged.append(pair[0])
    return sound, damaged


def body_of(pairs: list[Any]) -> bytes:
    """Return the body of a message with these jobs."""
    return json.dumps([[], {"jobs": pairs}, {}]).encode()


def _pairs(body: Any) -> list[Any]:
    """Return the jobs up to the first place that is no JSON."""
    text = body if isinstance(body, str) else bytes(body or b"").decode(errors="surrogateescape")
    begin, pairs = _JOBS.search(text), []
    position = begin.end() if begin else len(text)
    decode = json.JSONDecoder().raw_decode
    try:
        while position < len(text):
            pair, position = decode(text, _end(text, position))
            pairs.append(pair)
    except (ValueError, RecursionError):
        # The end of the list, or of what can be read.
        pass
    return pairs


def _end(text: str, position: int) -> int:
    between = _BETWEEN.match(text, position)
    return between.end() if between else position


def _is_sound(pair: Any) -> bool:
    try:
        loads(json.dumps(pair).encode("ascii"))
    except Exception:  # noqa: BLE001 - whatever a decoder raises
        return False
    return True
