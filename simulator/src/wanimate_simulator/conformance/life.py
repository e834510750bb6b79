"""The checks of a task's status answers, from its acceptance to its end."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from ..fail_codes import FAIL_CODES
from .api import Api, Observed
from .findings import Finding, Verdict, judged

#: Source: the vendor's page, "Status Response Fields".
_STATES = ("pending", "processing", "success", "failed")
_RUNNING, _ENDS = _STATES[:2], _STATES[2:]
#: How far the vendor's clock may be from ours, in milliseconds.
_CLOCK_MS = 120_000
#: `costTime` is documented as a duration; in the example it is completeTime - createTime.
_COST_TIME_MS = 1_000


class Status(NamedTuple):
    """One status answer.

    Args:
        observed: the answer.
    """

    observed: Observed

    @property
    def data(self) -> dict[str, Any]:
        """Its `data`; nothing if it is not as documented."""
        return self.observed.data if self.observed.is_success and isinstance(self.observed.data, dict) else {}

    @property
    def state(self) -> object:
        """Its state."""
        return self.data.get("state")


def watch(api: Api, task_id: str, poll_seconds: float, timeout_seconds: float) -> list[Status]:
    """Poll the status of a task until it ends or the timeout passes."""
    answers: list[Status] = []
    until = time.monotonic() + timeout_seconds
    while True:
        answers.append(Status(api.status(task_id)))
        if answers[-1].state in _ENDS or time.monotonic() >= until:
            return answers
        api.wait(poll_seconds)


def life_checks(api: Api, task_id: str, submitted_at_ms: float, answers: list[Status]) -> Iterator[Finding]:
    """Check the status answers of a task.

    Args:
        api: shows what they say.
        task_id: the task.
        submitted_at_ms: when its submission was sent, in Unix milliseconds.
        answers: all of them, in order.
    """
    odd = [each.observed.shown for each in answers if not each.data]
    seen = f"{len(answers) - len(odd)} of {len(answers)}" + (f"; not: {odd[0]}" if odd else "")
    yield judged("Status answers", "200 in the envelope", seen, conforms=not odd)
    readable = [each for each in answers if each.data]
    passed = list(dict.fromkeys(each.state for each in readable))
    seen = ", ".join(map(api.shown, passed)) or "none"
    yield judged(
        "States", " or ".join(_STATES), seen, conforms=bool(passed) and all(each in _STATES for each in passed)
    )
    order = [min(_STATES.index(each.state), len(_RUNNING)) for each in readable if each.state in _STATES]
    yield judged("Order of states", "pending, processing, end", seen, conforms=bool(order) and order == sorted(order))
    has_id = bool(readable) and all(each.data.get("taskId") == task_id for each in readable)
    yield judged("taskId in status", "that of the submission", "the same" if has_id else "another", conforms=has_id)
    is_early = any("resultJson" in each.data or "failCode" in each.data for each in readable if each.state in _RUNNING)
    seen = "present" if is_early else "absent"
    yield judged("Result before the end", "no resultJson, no failCode", seen, conforms=not is_early)
    yield from _times(api, answers[-1].data, submitted_at_ms)
    yield _end(api, answers[-1])


def _times(api: Api, end: dict[str, Any], submitted_at_ms: float) -> Iterator[Finding]:
    created, completed, cost = (_whole(end.get(each)) for each in ("createTime", "completeTime", "costTime"))
    seen = [api.shown(end.get(each)) for each in ("createTime", "completeTime", "costTime")]
    is_time = created is not None and abs(created - submitted_at_ms) < _CLOCK_MS
    yield judged("createTime", "Unix milliseconds", seen[0], conforms=is_time)
    lasted_ms = completed - created if completed is not None and created is not None else None
    is_later = lasted_ms is not None and lasted_ms >= 0
    yield judged("completeTime", "Unix milliseconds, from createTime on", seen[1], conforms=is_later)
    documented = "milliseconds of processing"
    if cost is None or cost < 0:
        yield Finding("costTime", documented, seen[2], Verdict.DIFFERS)
    elif lasted_ms is not None and abs(lasted_ms - cost) <= _COST_TIME_MS:
        yield Finding("costTime", documented, f"{seen[2]}, as completeTime - createTime", Verdict.CONFORMS)
    else:
        yield Finding("costTime", documented, f"{seen[2]}, not completeTime - createTime", Verdict.EITHER)


def _end(api: Api, end: Status) -> Finding:
    seen = api.shown(end.state)
    if end.state == "failed":
        code = end.data.get("failCode")
        note = "" if code in FAIL_CODES else ", which is not documented"
        seen = f"failed: {api.shown(code)}{note}; {api.shown(end.data.get('failMsg'))}"
    return judged("End", "success", seen, conforms=end.state == "success")


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
