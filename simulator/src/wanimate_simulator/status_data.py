"""The data of a task in status responses and in the ground truth."""

import orjson

from .answers import encoded
from .clock import Clock
from .fail_codes import message_of
from .outcomes import SUCCESS
from .results import result_url
from .task import State, Task


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
        data["resultJson"] = encoded({"resultUrls": [result_url(task)]}).decode()
    else:
        data["failCode"] = task.outcome
        data["failMsg"] = message_of(task.outcome)
    data["completeTime"] = clock.unix_ms(task.completes_at_seconds)
    data["costTime"] = round(task.duration_seconds * 1000)
    return data


def listed(task: Task, now_seconds: float, clock: Clock) -> dict[str, object]:
    """Return everything known about a task, ready for JSON; `_at_ms` are Unix milliseconds.

    Args:
        task: the task.
        now_seconds: the moment to describe it at, in real seconds of the clock.
        clock: the simulator's clock.
    """
    ended = now_seconds >= task.completes_at_seconds
    told_at_seconds = task.first_told_at_seconds
    return {
        "task_id": task.task_id,
        "marker": task.marker,
        "attempt": task.attempt,
        "state": task.state(now_seconds).value,
        "outcome": task.outcome if ended else None,
        "duration_seconds": task.duration_seconds,
        "video_seconds": task.video_seconds,
        "billed_seconds": task.billed_seconds,
        "cost_usd": task.cost_usd,
        "accepted_at_ms": clock.unix_ms(task.accepted_at_seconds),
        "completed_at_ms": clock.unix_ms(task.completes_at_seconds) if ended else None,
        "first_told_at_ms": clock.unix_ms(told_at_seconds) if told_at_seconds is not None else None,
        "answer_lost": task.answer_lost.value if task.answer_lost is not None else None,
        "answer_delay_seconds": task.answer_delay_seconds,
        "polls": task.polls,
        "forgotten": task.forgotten,
        "input": orjson.Fragment(task.input_json),
        "callback_url": task.callback_url,
        "callback_state": task.callback_state.value,
        "callback_attempts": task.callback_attempts,
        "extra_callbacks": task.extra_callbacks,
        "downloads": len(task.downloads),
        "downloaded": any(each.complete for each in task.downloads),
    }
