"""Jobs whose task has failed for a reason that passes: sent again, as often as their callers or the account want."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wanimate.errors import GenerationFailed
from wanimate.text import format_duration

if TYPE_CHECKING:
    from wanimate.contract import Outcome

    from ..ledger import JobFields

#: The delay before the first retry, in seconds; it doubles with each further one. Up to half of it is added at random,
#: so that jobs that failed together do not come back together.
BASE_SECONDS: Final = 10.0
#: The longest delay, in seconds.
CAP_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class NextAttempt:
    """A job is sent again.

    Args:
        number: The number of the retry, 1 for the first.
        limit: How many there may be.
        delay_ms: After how long, in milliseconds.
        code: What the vendor's task failed with.
    """

    number: int
    limit: int
    delay_ms: int
    code: str

    @property
    def cause(self) -> str:
        """What the job's history says."""
        return f"{self.code}; retry {self.number} of {self.limit} in {format_duration(self.delay_ms)}"


def next_attempt(job: JobFields, outcome: Outcome, limit: int, now_ms: int) -> NextAttempt | Outcome:
    """Return how a job whose task has ended goes on: with another attempt, or with its outcome.

    Args:
        job: The job.
        outcome: How the task ended.
        limit: How many retries the account allows a job that does not say it.
        now_ms: The current time, in Redis time.
    """
    failure = None if outcome.result else outcome.exception()
    told = f"after {job.retries} {'retry' if job.retries == 1 else 'retries'}" if job.retries else ""
    if isinstance(failure, GenerationFailed) and failure.is_transient:
        own = job.request.get("retry_transient")
        limit = limit if own is None else own
        if job.retries < limit:
            delay_ms = delay_ms_of(job.retries, random.random())  # noqa: S311 - jitter, not a secret
            if job.deadline_at_ms is None or now_ms + delay_ms < job.deadline_at_ms:
                return NextAttempt(job.retries + 1, limit, delay_ms, failure.code or "")
            told = f"{told or 'not retried'}: the deadline comes before the next attempt"
    if failure is None or not told:
        return outcome
    return outcome.model_copy(update={"message": f"{outcome.message} ({told})"})


def delay_ms_of(retries: int, uniform_random_01: float) -> int:
    """Return how long a job waits before it is sent again, in milliseconds.

    Args:
        retries: How often it was sent again before.
        uniform_random_01: A random number in [0, 1).
    """
    return round(1000 * min(CAP_SECONDS, BASE_SECONDS * 2.0**retries * (1 + uniform_random_01 / 2)))
