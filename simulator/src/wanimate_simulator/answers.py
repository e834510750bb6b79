"""What the vendor answers."""

from collections.abc import Mapping
from typing import NamedTuple

import orjson

from .clock import Clock
from .fail_codes import message_of
from .outcomes import SUCCESS
from .pages import HTML
from .refusals import RefusedError
from .task import State, Task


class Answer(NamedTuple):
    """An HTTP answer to send.

    Args:
        code: HTTP status.
        body: the bytes, or None to close the connection without an answer.
        headers: further headers.
        delay_seconds: real seconds to hold it back.
        content_type: of the body.
        accepted: the task it tells the acceptance of.
    """

    code: int
    body: bytes | None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    delay_seconds: float = 0.0
    content_type: bytes = b"application/json"
    accepted: Task | None = None


def envelope(data: Mapping[str, object] | None, *, code: int = 200, message: str = "success") -> dict[str, object]:
    """Return the envelope every answer comes in. Source: the vendor's page, "Response"."""
    return {"code": code, "message": message, "data": data}


def encoded(answer: Mapping[str, object]) -> bytes:
    """Return an envelope as JSON."""
    return orjson.dumps(answer)


def refusal(refused: RefusedError, headers: tuple[tuple[bytes, bytes], ...], delay_seconds: float) -> Answer:
    """Return an error answer: the envelope, or the page that came in its place."""
    if refused.page is not None:
        return Answer(refused.code, refused.page, headers, delay_seconds, HTML)
    body = encoded(envelope(refused.data, code=refused.code, message=refused.message))
    return Answer(refused.code, body, headers, delay_seconds)


def task_data(task: Task, now_seconds: float, clock: Clock) -> dict[str, object]:
    """Return the `data` of a status answer. Source: the vendor's page, "Status Response Fields".

    `createTime` and `completeTime` are this machine's wall clock; `costTime` is the simulated duration.

    Args:
        task: the task asked about.
        now_seconds: moment of the answer, in real seconds of the clock.
        clock: the simulator's clock.
    """
    state = task.state(now_seconds)
    data: dict[str, object] = {
        "taskId": task.task_id,
        "state": state.value,
        "createTime": clock.unix_ms(task.accepted_at_seconds),
    }
    if state is State.PENDING or state is State.PROCESSING:
        return data
    if task.outcome == SUCCESS:
        data["resultJson"] = f'{{"resultUrls":["https://results.example.com/{task.task_id}.mp4"]}}'
    else:
        data["failCode"] = task.outcome
        data["failMsg"] = message_of(task.outcome)
    data["completeTime"] = clock.unix_ms(task.completes_at_seconds)
    data["costTime"] = round(task.duration_seconds * 1000)
    return data
