"""What is told about a task."""

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
