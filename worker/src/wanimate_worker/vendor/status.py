"""The `data` of a status answer: where a task stands, and where the videos of a finished one are."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from wanimate.contract import Result

from .answers import Failed, Pending, Succeeded, Unreadable
from .envelope import one_line, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .envelope import HttpAnswer

#: Other words for an end than the document's. Each needs its proof: the videos, or the code of a failure.
_SUCCESS_WORDS: Final = frozenset({"succeeded", "successful", "completed", "complete", "done", "finished"})
_FAILURE_WORDS: Final = frozenset({"fail", "failure", "error"})

#: A time stamp between these is in seconds, not in milliseconds (years 2001 and 5138).
_MIN_SECONDS: Final = 1e9
_MAX_SECONDS: Final = 1e11


def read_status(task_id: str, answer: HttpAnswer) -> Pending | Succeeded | Failed | Unreadable:
    """Return what an answer with code 200 says about a task (vendor document, "Status Response Fields").

    Only `success` with a readable result and `failed` are ends. A word the document does not have is asked about
    again, and so is a success without a readable result: it was paid for, and the next answer may carry it. What can be
    read although it is not as documented is read, and the answer says so.
    """
    state, data = answer.data.get("state"), answer.data
    if answer.task_id not in {None, task_id}:
        return Unreadable("the answer is about another task")
    if not isinstance(state, str) or not state.strip():
        return Unreadable("the answer has no state")
    word = state.strip().casefold()
    oddity = "" if state == word else "the state is not in lower case"
    if word == "success":
        return _read_success(task_id, data, oddity)
    created_at = _moment(data.get("createTime"))
    if word == "failed" or (word in _FAILURE_WORDS and answer.fail_code):
        message = data.get("failMsg")
        oddity = oddity or ("" if word == "failed" else f"the state of a failure is {word}")
        if not isinstance(message, str | None):
            oddity = oddity or "failMsg is no text"
        said = one_line("" if message is None else str(message))
        return Failed(answer.fail_code, said, created_at, _moment(data.get("completeTime")), oddity)
    if word in _SUCCESS_WORDS:
        ended = _read_success(task_id, data, oddity or f"the state of a success is {word}")
        if isinstance(ended, Succeeded):
            return ended
    return Pending(one_line(state), created_at)


def _read_success(task_id: str, data: Mapping[str, Any], oddity: str) -> Succeeded | Unreadable:
    urls, shape = _result_urls(data)
    if not urls:
        return Unreadable("the task succeeded, but its resultJson names no videos")
    cost = _number(data.get("costTime"))
    return Succeeded(
        Result(
            urls=urls,
            task_id=task_id,
            created_at=_moment(data.get("createTime")),
            completed_at=_moment(data.get("completeTime")),
            cost_time_ms=round(cost) if cost is not None and cost >= 0 else None,
        ),
        oddity or shape,
    )


def _moment(stamp: Any) -> datetime | None:
    """Read a time stamp, in ms or seconds or ISO 8601; one that cannot be read must not cost a paid video."""
    number = _number(stamp)
    try:
        if number is None:
            moment = datetime.fromisoformat(stamp)
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        seconds = number if number < _MAX_SECONDS else number / 1000
        return None if number < _MIN_SECONDS else datetime.fromtimestamp(seconds, tz=UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


#: Names under which the URL of a video stands in an object, in lower case and without underscores.
_URL_NAMES: Final = ("resulturls", "resulturl", "videourls", "videourl", "urls", "url")
_SCHEMES: Final = ("https://", "http://")
_SHAPES: Final[dict[type, str]] = {str: "a text of another shape", dict: "an object", list: "a list"}
_MAX_DEPTH: Final = 5


def _result_urls(data: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
    """Return the URLs of a finished task's videos, and how they depart from the vendor's document, if they do.

    Documented is a text, `resultJson`, whose JSON has a list of URLs named `resultUrls` (vendor document, "Status
    Response Fields"). A result that was paid for is not lost because it comes as an object, encoded twice, or with its
    URLs in objects.
    """
    given = data.get("resultJson")
    parsed = parse(given) if isinstance(given, str) else None
    named = parsed.get("resultUrls") if isinstance(parsed, dict) else None
    if named and isinstance(named, list) and all(isinstance(url, str) and url.strip() for url in named):
        return tuple(named), ""
    urls = tuple(dict.fromkeys(_urls(given, _MAX_DEPTH))) or tuple(dict.fromkeys(_urls_named(data, _MAX_DEPTH)))
    if not urls:
        return (), ""
    if "resultJson" not in data:
        return urls, "the videos are not in resultJson"
    shape = _SHAPES.get(type(given), "no text")
    return urls, f"resultJson is {shape}, or its resultUrls are not a list of texts"


def _urls(value: Any, depth: int) -> Iterator[str]:
    """Yield the URLs in a value that is, or holds, those of videos."""
    if depth == 0:
        return
    if isinstance(value, str):
        text = value.strip()
        if text.lower().startswith(_SCHEMES) and not any(character.isspace() for character in text):
            yield text
        elif text[:1] in {"{", "[", '"'}:
            yield from _urls(parse(text), depth - 1)
    elif isinstance(value, list):
        for each in value:
            yield from _urls(each, depth - 1)
    elif isinstance(value, dict):
        yield from _urls_named(value, depth - 1)


def _urls_named(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    """Yield the URLs under the first name that has any."""
    by_name = {str(name).replace("_", "").lower(): each for name, each in value.items()}
    for name in _URL_NAMES:
        found = list(_urls(by_name.get(name), depth))
        if found:
            yield from found
            return
