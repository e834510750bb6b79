"""What the vendor answers, and the reasons it refuses."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

import orjson

from .clock import Clock
from .outcomes import Outcome
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


class Cause(StrEnum):
    """Why a request was answered 429."""

    RATE = "rate"
    CONCURRENCY = "concurrency"
    INJECTED = "injected"


class RefusedError(Exception):
    """The vendor answers with an error. Source: the vendor's page, "Error Codes".

    Args:
        code: HTTP status and `code` of the envelope.
        message: `message` of the envelope.
        cause: why, for a 429.
    """

    def __init__(self, code: int, message: str, cause: Cause | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cause = cause


class DroppedError(Exception):
    """The vendor closes the connection without an answer."""


def envelope(data: Mapping[str, object] | None, *, code: int = 200, message: str = "success") -> dict[str, object]:
    """Return the envelope every answer comes in. Source: the vendor's page, "Response"."""
    return {"code": code, "message": message, "data": data}


def encoded(answer: Mapping[str, object]) -> bytes:
    """Return an envelope as JSON."""
    return orjson.dumps(answer)


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
    if task.outcome is Outcome.SUCCESS:
        data["resultJson"] = f'{{"resultUrls":["https://results.example.com/{task.task_id}.mp4"]}}'
    else:
        data["failCode"] = task.outcome.value
        data["failMsg"] = task.outcome.message
    data["completeTime"] = clock.unix_ms(task.completes_at_seconds)
    data["costTime"] = round(task.duration_seconds * 1000)
    return data
