"""Everything a request to the vendor can come back with, as values; each says what is known and nothing more."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from wanimate.contract import Result


@dataclass(frozen=True, slots=True)
class Accepted:
    """The vendor took the job and will bill it."""

    task_id: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """The vendor refused this job; sending it again would be refused again.

    Args:
        code: The vendor's code, otherwise the HTTP status.
        is_content: Whether its words, without a code that says so, speak of the content.
    """

    code: str
    message: str
    is_content: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """The submission was surely not accepted; whether because of the job, the account or the way is not known.

    Args:
        code: The vendor's code, otherwise the HTTP status.
    """

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Unauthorised:
    """The account may not use the API now: the vendor refuses its key, or it has no credit.

    Args:
        status: 401 or 402; 402 also stands for a refusal with the code `INSUFFICIENT_CREDITS`.
    """

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """The vendor refused the request because of a limit; nothing was accepted.

    Args:
        retry_after_seconds: How long the vendor asks to wait, if it does.
        concurrency: True if the limit is the one on concurrent tasks, False if it is the one on requests, None if the
            answer does not tell.
    """

    retry_after_seconds: float | None
    message: str
    concurrency: bool | None


class Obstacle(Enum):
    """What kept a request from the vendor."""

    #: No connection, or no client to make one with.
    NETWORK = auto()
    #: Something on the way answered in the vendor's place: a gateway, a proxy, a web server at a wrong base URL.
    GATEWAY = auto()
    #: The vendor says that it is unavailable.
    VENDOR = auto()
    #: This process stood still for too long, and the request was no longer its own to send.
    STALE = auto()


@dataclass(frozen=True, slots=True)
class NotSent:
    """The vendor surely did not process the request: sending it again is safe.

    Args:
        retry_after_seconds: How long the vendor asks to wait, if it does.
    """

    reason: str
    obstacle: Obstacle = field(default=Obstacle.NETWORK, compare=False)
    retry_after_seconds: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Unknown:
    """The job may have been accepted and billed, or not: sending it again may pay twice.

    Args:
        hint: A task id that the answer shows although it is not as documented; empty if it shows none. It is checked
            by a status request before it is believed.
    """

    reason: str
    hint: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Pending:
    """The vendor still works on the task, or says something that is no end we know.

    Args:
        state: The vendor's word: `pending`, `processing`, or one that its document does not have.
        created_at: When the vendor made the task, if it says so.
    """

    state: str
    created_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The task is finished.

    Args:
        oddity: How the answer departs from the vendor's document; empty if it does not.
    """

    result: Result
    oddity: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The vendor gave the task up.

    Args:
        code: `CONTENT_VIOLATION`, `GENERATION_FAILED` or another code, if it gave one.
        created_at: When the vendor made the task, if it says so.
        completed_at: When it gave it up, if it says so.
        oddity: How the answer departs from the vendor's document; empty if it does not.
    """

    code: str | None
    message: str
    created_at: datetime | None = field(default=None, compare=False)
    completed_at: datetime | None = field(default=None, compare=False)
    oddity: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class TaskNotFound:
    """The vendor says that it does not know the task id."""

    message: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """The answer is inconclusive about the task: poll again later."""

    reason: str


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left of the account's credit."""

    micro_usd: int


@dataclass(frozen=True, slots=True)
class NoBalance:
    """The vendor has no balance to tell: asking again soon is pointless."""

    reason: str


SubmitAnswer = Accepted | Rejected | Refused | Unauthorised | Throttled | NotSent | Unknown
StatusAnswer = Pending | Succeeded | Failed | TaskNotFound | Unreadable | NotSent | Unauthorised | Throttled
BalanceAnswer = Balance | NoBalance | Unreadable | NotSent | Unauthorised | Throttled
