"""The task id that an answer shows although it is not the documented one: kept as a hint, never believed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from .lenient import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

#: What a task id may look like; the vendor's example is `task_12345678`.
_TASK_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: The name of a task's id, in lower case and without underscores.
_TASK_ID_NAME: Final = "taskid"
#: In a text that is no JSON, cut short for example.
_IN_TEXT: Final = re.compile(rb'"task_?[iI][dD]"\s*:\s*"?([A-Za-z0-9._:-]{1,128})["\s,}]')
_DEEPEST: Final = 4


def task_hint(body: bytes, *, is_success: bool) -> str:
    """Return the task id that a body shows somewhere, or nothing.

    Args:
        body: The body of an answer to a submission, or the part of it that could be read.
        is_success: Whether an id without a better name may be a task's; in an error it is rather that of the request.
    """
    if not body:
        return ""
    try:
        answer = parse(body)
    except ValueError:
        found = _IN_TEXT.search(body)
        return found[1].decode() if found else ""
    named = list(_named(answer, _DEEPEST))
    names = (_TASK_ID_NAME, "id") if is_success else (_TASK_ID_NAME,)
    return next((task_id for wanted in names for name, task_id in named if name == wanted), "")


def _named(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Yield names, in lower case and without underscores, and the ids they name, the outer ones first."""
    if depth == 0 or not isinstance(value, dict | list):
        return
    pairs = list(value.items()) if isinstance(value, dict) else [("", each) for each in value]
    for name, each in pairs:
        task_id = str(each) if isinstance(each, str | int) and not isinstance(each, bool) else ""
        if _TASK_ID.fullmatch(task_id):
            yield str(name).replace("_", "").lower(), task_id
    for _, each in pairs:
        yield from _named(each, depth - 1)
