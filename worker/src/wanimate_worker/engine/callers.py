"""What the engine needs of the system through which jobs come in and results go out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from wanimate.contract import Outcome

    from ..ledger import JobFields


@dataclass(frozen=True, slots=True)
class PlainResult:
    """The result of a job without callbacks, chain or chord.

    Args:
        stored: Its key and its text; None for a job that wants no result.
    """

    stored: tuple[str, str] | None


class Callers(Protocol):
    """The callers that enqueued the jobs; the bridge to Celery implements it."""

    def started_mark(self, job: JobFields) -> tuple[str, str] | None:
        """Return the key of the job's result, and what to store there once its task has started.

        None for a job that wants no result.
        """

    def result_key(self, job: JobFields) -> str | None:
        """Return the key of the job's result; None for a job that wants no result."""

    def plain_result(self, job: JobFields, outcome: Outcome) -> PlainResult | None:
        """Return what is stored of the outcome of a job without callbacks, chain or chord; None if it has any."""

    def announce_end(self, job: JobFields, outcome: Outcome) -> None:
        """Announce the end of a job whose result the ledger has stored."""

    def announce_start(self, job: JobFields, shown: str) -> None:
        """Announce that the vendor has the job's task, or may have it."""

    def deliver(self, job: JobFields, outcome: Outcome) -> bool:
        """Store the result, call the callbacks and announce the end; False if a part of it failed.

        Raises:
            RedisError: Redis is away.
        """
