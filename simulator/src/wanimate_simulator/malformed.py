"""Answers that came whole, and are not what is documented."""

from collections.abc import Callable, Mapping
from functools import cache

from .answers import HTML, encoded

#: Bytes of a body that is far too large.
_HUGE_BYTES = 10_000_000

_JSON = b"application/json"
_PAGE = b"<!DOCTYPE html><html><head><title>Bad gateway</title></head><body><h1>Please wait</h1></body></html>"


def malformed_body(number: int, envelope: Mapping[str, object]) -> tuple[bytes, bytes]:
    """Return a malformed body and its content type.

    Args:
        number: counts malformed answers; each of `FORMS` has its turn.
        envelope: the answer that would have been right.
    """
    return list(FORMS.values())[number % len(FORMS)](envelope)


@cache
def huge_body() -> bytes:
    """Return 10 MB of JSON in the vendor's envelope."""
    return encoded({"code": 200, "message": "x" * _HUGE_BYTES, "data": None})


def _without_task_id(envelope: Mapping[str, object]) -> tuple[bytes, bytes]:
    data = envelope["data"]
    kept = {name: value for name, value in data.items() if name != "taskId"} if isinstance(data, dict) else {}
    return encoded({**envelope, "data": kept}), _JSON


#: The malformed bodies by name: each takes the right envelope, and returns a body and its content type.
FORMS: Mapping[str, Callable[[Mapping[str, object]], tuple[bytes, bytes]]] = {
    "a list": lambda _: (b"[]", _JSON),
    "null": lambda _: (b"null", _JSON),
    "no data": lambda envelope: (encoded({**envelope, "data": None}), _JSON),
    "data that is text": lambda envelope: (encoded({**envelope, "data": "success"}), _JSON),
    "data without a task id": _without_task_id,
    "a code that is text": lambda envelope: (encoded({**envelope, "code": "200"}), _JSON),
    "an HTML page": lambda _: (_PAGE, HTML),
    "nothing": lambda _: (b"", _JSON),
    "10 MB": lambda _: (huge_body(), _JSON),
}
