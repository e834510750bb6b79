"""Extra POSTs to a task's callback URL: forged ones, and those of a faulty vendor."""

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from .answers import encoded, envelope
from .clock import Clock
from .faults import FaultBoard
from .malformed import huge_body
from .task import Task

#: Extra POSTs begin within this share of a task's duration, so that they arrive while it runs.
_LATEST_SHARE = 0.8
#: What a premature callback claims to be the result; no task ever has it.
BOGUS_RESULT_URL = "https://results.example.com/bogus.mp4"


class ExtraKind(StrEnum):
    """The kinds of extra POSTs."""

    REPLAY = "replay"
    FORGED = "forged"
    OTHER_SIGNATURE = "other_signature"
    PREMATURE = "premature"
    WRONG_TASK = "wrong_task"
    HUGE = "huge"


class Extra(NamedTuple):
    """A POST to make while a task runs.

    Args:
        kind: what is wrong with it.
        at_seconds: when to make it, in real seconds of the clock.
        url: where to.
        body: what it says.
    """

    kind: ExtraKind
    at_seconds: float
    url: str
    body: bytes


class CallbackFaults:
    """Decides which extra POSTs a task gets.

    A callback URL is taken to end in its signature: the last segment of its path.

    Args:
        clock: the simulator's clock.
        board: the fault switches.
    """

    def __init__(self, clock: Clock, board: FaultBoard) -> None:
        self._clock = clock
        self._board = board
        self._previous: Task | None = None

    def plan(self, task: Task) -> list[Extra]:
        """Return the extra POSTs for a task with a callback URL; call once for each, in order of acceptance."""
        extras = list(self._extras(task, task.callback_url or "", self._previous))
        self._previous = task
        return extras

    def _extras(self, task: Task, url: str, other: Task | None) -> Iterator[Extra]:
        board, claim = self._board, self._claim(task, task.task_id)
        if board.strikes("callback_forged_rate"):
            yield self._extra(ExtraKind.FORGED, task, _with_signature(url, _tampered(_signature(url))), claim)
        if board.strikes("callback_premature_rate"):
            yield self._extra(ExtraKind.PREMATURE, task, url, claim)
        if board.strikes("callback_huge_rate"):
            yield self._extra(ExtraKind.HUGE, task, url, huge_body())
        if other is None:
            return
        if board.strikes("callback_other_signature_rate"):
            foreign = _signature(other.callback_url or "")
            yield self._extra(ExtraKind.OTHER_SIGNATURE, task, _with_signature(url, foreign), claim)
        if board.strikes("callback_wrong_task_rate"):
            yield self._extra(ExtraKind.WRONG_TASK, task, url, self._claim(task, other.task_id))

    def _extra(self, kind: ExtraKind, task: Task, url: str, body: bytes) -> Extra:
        lasts_seconds = task.completes_at_seconds - task.accepted_at_seconds
        share = self._board.share(f"callback_{kind}_at") * _LATEST_SHARE
        return Extra(kind, task.accepted_at_seconds + lasts_seconds * share, url, body)

    def _claim(self, task: Task, task_id: str) -> bytes:
        """Return a callback that says a task has succeeded."""
        accepted_at_ms = self._clock.unix_ms(task.accepted_at_seconds)
        data = {
            "taskId": task_id,
            "state": "success",
            "createTime": accepted_at_ms,
            "resultJson": f'{{"resultUrls":["{BOGUS_RESULT_URL}"]}}',
            "completeTime": accepted_at_ms + 1,
            "costTime": 1,
        }
        return encoded(envelope(data))


def _signature(url: str) -> str:
    return urlsplit(url).path.rpartition("/")[2]


def _with_signature(url: str, signature: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rpartition('/')[0]}/{signature}"))


def _tampered(signature: str) -> str:
    return signature[:-1] + ("0" if signature[-1:] != "0" else "1")
