"""What a client can do, written once for the sync and the async client."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from . import messages
from .contract import CancelOutcome, JobState, JobStatus, Result
from .effects import (
    Done,
    Emit,
    Forget,
    LookFor,
    Presence,
    Publish,
    ReadRecord,
    ReadResults,
    ReadStandings,
    Remember,
    Sleep,
    advance,
)
from .errors import (
    IdempotencyConflict,
    JobFailed,
    JobNotFound,
    QueueUnavailable,
    ResultExpired,
    WaitTimeout,
    WanimateError,
    WorkerUnavailable,
)
from .estimates import eta_seconds
from .outcomes import ending_of_record, read_ending, read_error, read_meta, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .contract import Job
    from .effects import Operation, Record, Standing
    from .messages import Entry

H = TypeVar("H")

#: Results asked for in one command.
READ_SIZE: Final = 500
#: Pause between two looks at the same jobs, in seconds: it starts at the first and grows to the second.
SHORTEST_PAUSE_SECONDS: Final = 0.05
LONGEST_PAUSE_SECONDS: Final = 0.5
#: Time between two looks whether the jobs are known, and have ended without a result in Celery, in seconds.
SHORTEST_CHECK_SECONDS: Final = 5.0
LONGEST_CHECK_SECONDS: Final = 60.0
#: However many jobs are waited for, one waiter asks for no more results than this in a second.
READS_PER_SECOND: Final = 20_000
#: How long a wait that has reached Redis before rides out an outage, in seconds. A restart of Redis takes a few.
OUTAGE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A job has ended."""

    job_id: str
    outcome: Result | JobFailed | ResultExpired


@dataclass(frozen=True, slots=True)
class Missing:
    """Nothing is known about a job: it is not waited for any longer."""

    job_id: str


@dataclass(frozen=True, slots=True)
class Swept:
    """All jobs were looked at once; `pending` of them have not ended."""

    pending: int


def submit(job: Job, account: str) -> Operation[str]:
    """Enqueue one job and return its id."""
    entry = messages.enter(job, account)
    yield from _claim_keys([entry])
    yield Publish(messages.generate(entry))
    return entry.job_id


def submit_many(jobs: Iterable[Job], account: str, handle: Callable[[str], H]) -> Operation[list[H]]:
    """Enqueue jobs as they are read and return their handles in order."""
    enqueued: list[H] = []
    try:
        for entries in messages.pack(jobs, account):
            yield from _claim_keys(entries)
            yield Publish(messages.enqueue(entries))
            enqueued.extend(handle(entry.job_id) for entry in entries)
    except WanimateError as error:
        error.enqueued = enqueued
        raise
    return enqueued


def _claim_keys(entries: Sequence[Entry]) -> Operation[None]:
    """Bind each idempotency key to its request, before the message is sent.

    Dying between the two loses nothing: the same request is published again under the same id, and workers drop
    what they have already recorded.
    """
    keyed = [entry for entry in entries if entry.job.idempotency_key is not None]
    if not keyed:
        return
    asked = tuple((entry.job_id, entry.job.fingerprint()) for entry in keyed)
    remembered: list[str] = yield Remember(asked)
    for entry, (_, fingerprint), first in zip(keyed, asked, remembered, strict=True):
        if first != fingerprint:
            raise IdempotencyConflict(
                f"idempotency key {entry.job.idempotency_key!r} was used before for a different request: use a new key "
                f"for a new request, or send the first request again to get its job ({entry.job_id})"
            )


def status(job_id: str) -> Operation[JobStatus]:
    """Return where a job stands."""
    record: Record = yield ReadRecord(job_id)
    if not (record.fields or record.is_enqueued or record.has_slot or record.stored_result):
        yield from _must_be_there(job_id)
        # Its message may have been recorded meanwhile.
        record = yield ReadRecord(job_id)
    leader = record.fields.get("leader")
    if leader is not None and "outcome" not in record.fields:
        # One more caller of a job: it stands where that stands.
        record = yield ReadRecord(leader)
    if not record.fields:
        # Its record may have expired before its result, which any other Celery code may have kept longer.
        ending = read_ending(record.stored_result)
        if ending is not None:
            return status_of(job_id, ending)
    told = JobStatus.from_hash(job_id, record.fields, record.rank, has_slot=record.has_slot, prices=record.prices)
    eta = eta_seconds(record)
    blocked_by = record.blocked_by if told.state is JobState.WAITING else None
    facts = {"follows": leader, "eta_seconds": None if eta is None else round(eta, 1), "blocked_by": blocked_by}
    return told.model_copy(update=facts)


def wait(job_id: str, timeout: float | None, *, allow_expired: bool = False) -> Operation[Result]:
    """Return a job's result once it has ended."""
    (outcome,) = yield from wait_all((job_id,), timeout, allow_expired=allow_expired)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def wait_all(
    job_ids: Sequence[str], timeout: float | None, *, allow_expired: bool = False
) -> Operation[list[Result | JobFailed | ResultExpired]]:
    """Return how each job ended, in order, once all have."""
    outcomes: dict[str, Result | JobFailed | ResultExpired] = {}
    watched = as_completed(job_ids, timeout, allow_expired=allow_expired)
    step = advance(watched, None)
    while not isinstance(step, Done):
        answer: Any = None
        if not isinstance(step, Emit):
            try:
                answer = yield step
            except WanimateError as error:
                answer = error
        elif isinstance(step.value, Missing):
            raise JobNotFound.of(step.value.job_id)
        elif isinstance(step.value, Ended):
            outcomes[step.value.job_id] = step.value.outcome
        step = advance(watched, answer)
    return [outcomes[job_id] for job_id in job_ids]


def as_completed(job_ids: Iterable[str], timeout: float | None, *, allow_expired: bool = False) -> Operation[None]:
    """Emit `Ended` for each job as it ends, and `Swept` after each look at those that have not.

    Now and then it also looks whether they are known at all, and emits `Missing` for those that are not. An expired
    result is emitted as `ResultExpired`, unless those are allowed.
    """
    pending = dict.fromkeys(job_ids)
    deadline = None if timeout is None else time.monotonic() + timeout
    pause = SHORTEST_PAUSE_SECONDS
    reached: float | None = None
    check_at, until_check = time.monotonic(), SHORTEST_CHECK_SECONDS
    while pending:
        try:
            yield from _sweep(pending, deadline, allow_expired=allow_expired)
            if pending and time.monotonic() >= check_at:
                yield from _check(pending, deadline, allow_expired=allow_expired)
                check_at = time.monotonic() + until_check
                until_check = min(2 * until_check, LONGEST_CHECK_SECONDS)
            reached = time.monotonic()
        except QueueUnavailable:
            if reached is None or time.monotonic() - reached > OUTAGE_SECONDS:
                raise
        if not pending:
            return
        yield Emit(Swept(len(pending)))
        rest = max(pause, len(pending) / READS_PER_SECOND)
        if timeout is not None and deadline is not None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _timed_out(list(pending), timeout)
            rest = min(rest, left)
        yield Sleep(rest)
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def _sweep(pending: dict[str, None], deadline: float | None, *, allow_expired: bool) -> Operation[None]:
    everything = list(pending)
    for start in range(0, len(everything), READ_SIZE):
        asked = tuple(everything[start : start + READ_SIZE])
        stored: list[str | None] = yield ReadResults(asked, _left(deadline))
        for job_id, result in zip(asked, stored, strict=True):
            outcome = read_ending(result)
            if outcome is not None:
                del pending[job_id]
                yield _ended(job_id, outcome, allow_expired=allow_expired)


def _ended(job_id: str, outcome: Result | JobFailed, *, allow_expired: bool) -> Emit:
    if isinstance(outcome, Result) and outcome.is_expired and not allow_expired:
        return Emit(Ended(job_id, ResultExpired.of(job_id, outcome)))
    return Emit(Ended(job_id, outcome))


def _check(pending: dict[str, None], deadline: float | None, *, allow_expired: bool) -> Operation[None]:
    """End what has ended without a result in Celery, and what is not known."""
    strangers: list[str] = []
    everything = list(pending)
    for start in range(0, len(everything), READ_SIZE):
        asked = tuple(everything[start : start + READ_SIZE])
        standings: list[Standing] = yield ReadStandings(asked, _left(deadline))
        for job_id, standing in zip(asked, standings, strict=True):
            if standing.outcome is not None:
                del pending[job_id]
                yield _ended(job_id, ending_of_record(standing.outcome), allow_expired=allow_expired)
            elif not standing.is_known:
                strangers.append(job_id)
    if strangers:
        found: dict[str, Presence] = yield LookFor(tuple(strangers))
        for job_id in strangers:
            if found[job_id] is Presence.ABSENT:
                del pending[job_id]
                yield Emit(Missing(job_id))


def _must_be_there(job_id: str) -> Operation[None]:
    """Raise `JobNotFound` if nothing is known about a job that has no record."""
    found: dict[str, Presence] = yield LookFor((job_id,))
    if found[job_id] is Presence.ABSENT:
        raise JobNotFound.of(job_id)


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def _timed_out(pending: list[str], timeout: float) -> WaitTimeout:
    if len(pending) == 1:
        return WaitTimeout(
            f"job {pending[0]} had not ended after {timeout:g} s; it goes on: wait for it again, from any process, "
            f"with client.job({pending[0]!r}).wait()"
        )
    return WaitTimeout(
        f"{len(pending)} jobs had not ended after {timeout:g} s, {pending[0]} among them; they go on: wait for them "
        "again, from any process, with client.job(id).wait()"
    )


def cancel(job_id: str, timeout: float) -> Operation[CancelOutcome]:
    """Ask a worker to cancel a job and return what became of it."""
    (standing,) = yield ReadStandings((job_id,))
    if not standing.is_known:
        yield from _must_be_there(job_id)
    message = messages.cancel(job_id)
    yield Publish(message)
    meta = yield from _await_reply(message.id, timeout)
    if meta is None:
        raise WorkerUnavailable(
            f"no worker answered within {timeout:g} s; the request to cancel job {job_id} stays queued and is carried "
            "out when a worker starts. Check that wanimate-worker runs and uses the same Redis"
        )
    yield Forget(message.id)
    if meta["status"] != "SUCCESS":
        raise read_error(meta)
    try:
        return CancelOutcome(meta["result"])
    except ValueError:
        raise WanimateError(f"the worker answered {meta['result']!r}: is it newer than this library?") from None


def _await_reply(task_id: str, timeout: float) -> Operation[dict[str, Any] | None]:
    deadline = time.monotonic() + timeout
    pause = SHORTEST_PAUSE_SECONDS
    while True:
        stored: list[str | None] = yield ReadResults((task_id,), _left(deadline))
        meta = read_meta(stored[0])
        left = deadline - time.monotonic()
        if meta is not None or left <= 0:
            return meta
        yield Sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)
