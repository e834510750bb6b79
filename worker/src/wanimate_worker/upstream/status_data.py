"""The `data` of a status answer: where a task stands and what it gave back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from wanimate.contract import Result

from .answers import Failed, Pending, Succeeded, Unreadable
from .envelope import one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .envelope import Envelope


def read_status(task_id: str, envelope: Envelope) -> Pending | Succeeded | Failed | Unreadable:
    """Return what an answer with code 200 says about a task (vendor document, "Status Response Fields").

    Only `success` with a readable result and `failed` are ends. A word the document does not have is asked about
    again, and so is a success without a readable result: it was paid for, and the next answer may carry it.

    Args:
        task_id: The task that was asked about.
        envelope: The answer.
    """
    state = envelope.data.get("state")
    if envelope.task_id not in {None, task_id}:
        return Unreadable("the answer is about another task")
    if not isinstance(state, str) or not state.strip():
        return Unreadable("the answer has no state")
    if state == "success":
        return _read_success(task_id, envelope.data)
    created_at = _moment(envelope.data.get("createTime"))
    if state == "failed":
        completed_at = _moment(envelope.data.get("completeTime"))
        return Failed(envelope.fail_code, envelope.fail_message, created_at, completed_at)
    return Pending(one_line(state), created_at)


def _read_success(task_id: str, data: Mapping[str, Any]) -> Succeeded | Unreadable:
    urls = _urls(data.get("resultJson"))
    if not urls:
        return Unreadable("the task succeeded, but its resultJson names no videos")
    cost = _whole(data.get("costTime"))
    return Succeeded(
        Result(
            urls=urls,
            task_id=task_id,
            created_at=_moment(data.get("createTime")),
            completed_at=_moment(data.get("completeTime")),
            cost_time_ms=cost if cost is not None and cost >= 0 else None,
        )
    )


def _urls(result_json: Any) -> tuple[str, ...]:
    try:
        result = orjson.loads(result_json) if isinstance(result_json, str) else None
    except orjson.JSONDecodeError:
        return ()
    urls = result.get("resultUrls") if isinstance(result, dict) else None
    if not isinstance(urls, list) or not all(isinstance(url, str) and url.strip() for url in urls):
        return ()
    return tuple(urls)


def _moment(stamp_ms: Any) -> datetime | None:
    """Read a time stamp; one that cannot be read must not cost a paid video."""
    stamp = _whole(stamp_ms)
    try:
        return None if stamp is None else datetime.fromtimestamp(stamp / 1000, tz=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
