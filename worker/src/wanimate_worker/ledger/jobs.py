"""The steps of a job: each is one script, which changes nothing for a late writer."""

from __future__ import annotations

import random
import secrets
from typing import TYPE_CHECKING, Any, Final

import orjson
from kombu.utils.json import dumps
from wanimate.contract import CLAIM_TTL_MS, CancelOutcome, Outcome, Stage

from ..stopwatch import Stopwatch
from .records import JobFields
from .script import Cause, Concern, Key, Stored, script
from .values import (
    Admission,
    Admitted,
    Bill,
    Blocked,
    Cancelled,
    Deliver,
    NoOp,
    Parked,
    Proven,
    RateLimited,
    ResultMissing,
    Settled,
    Step,
    Submit,
    WaitForPermit,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .values import Entry, Observation

#: Jobs recorded by one script, so that none blocks Redis for long.
_ADMIT_BATCH: Final = 100


class Jobs(Concern):
    """The steps of jobs, in order."""

    # -- until the vendor has it --------------------------------------------------------------------------------

    def admit(self, entries: Sequence[Entry]) -> list[Admission]:
        """Record new jobs and hand out free slots, in one round trip for a hundred.

        Args:
            entries: The jobs. One that was recorded before is not changed. Slots are handed out when all of a batch are
                recorded; the last admission of a batch has what the batch was granted.
        """
        admissions: list[Admission] = []
        for start in range(0, len(entries), _ADMIT_BATCH):
            batch = entries[start : start + _ADMIT_BATCH]
            keys = [Key(key) for entry in batch for key in self._keys_of(entry.job_id)]
            answer = self._admit(keys, [value for entry in batch for value in _values(entry)])
            parts, granted = answer[: 3 * len(batch)], answer[3 * len(batch) :]
            for at in range(0, len(parts), 3):
                started = [parts[at + 2]] if parts[at + 2] else []
                started += granted if at == len(parts) - 3 else []
                admissions.append(Admission(Admitted(parts[at]), parts[at + 1], started))
        return admissions

    @script(list)
    def _admit(
        self, jobs: Sequence[Key], entries: Sequence[str | int], *, claim_ttl_ms: int = CLAIM_TTL_MS
    ) -> list[str]: ...

    def _keys_of(self, job_id: str) -> tuple[str, str]:
        return self._keys.job(job_id), self._keys.idempotency(job_id)

    def begin(self, job_id: str, *, holds_permit: bool = False) -> Step:
        """Claim the next step of a job for the calling thread: submit it, deliver it, or nothing.

        Args:
            holds_permit: Whether an earlier call reserved a request permit whose time has come.
        """
        nonce, asked = secrets.token_hex(8), Stopwatch()
        verdict, *facts = self._begin(job_id, nonce, holds_permit=holds_permit)
        match verdict:
            case "submit":
                attempt, begun_at_ms, in_flight, *stored = facts
                names: tuple[str, ...] = ("attempts", "request", "message", "waiting_at_ms")
                job = JobFields.of(job_id, names, [attempt - 1, *stored])
                return Submit(nonce, attempt, begun_at_ms, in_flight, job, asked)
            case "deliver":
                outcome, attempts, now_ms, settled_at, *stored = facts
                names = ("request", "message", "waiting_at_ms", "submitted_at_ms", "celery_id")
                job = JobFields.of(job_id, names, stored)
                parsed = Outcome.model_validate_json(outcome)
                return Deliver(parsed, attempts, job.waiting_at_ms, _moment(settled_at), now_ms, asked, job)
            case "wait":
                return WaitForPermit(facts[0], asked)
            case "rate_limited":
                return RateLimited(facts[0])
            case "blocked":
                return Blocked()
            case _:
                return NoOp(Stage(facts[0]) if facts[0] else None)

    @script(list)
    def _begin(self, job_id: str, nonce: str, *, holds_permit: bool) -> list[Any]: ...

    @script(bool)
    def accept(
        self,
        job_id: str,
        nonce: str,
        *,
        task_id: str,
        first_poll_ms: int,
        begun_at_ms: int,
        started: Stored | None = None,
    ) -> bool:
        """Record that the vendor has the task; False if this attempt is no longer the job's.

        Args:
            first_poll_ms: When to poll first, from now.
            begun_at_ms: When the attempt began, in Redis time.
            started: Where Celery keeps its result, and what it keeps there of a task that has started; None for a job
                that wants no result.
        """

    @script(bool)
    def mark_unknown(self, job_id: str, nonce: str, why: Cause, *, is_ours: bool = False, hint: str = "") -> bool:
        """Record that the answer to a submission was lost; the slot stays taken. False if the attempt is another's.

        After three in a row that the vendor's side lost, the circuit breaker is half-open until one is answered.

        Args:
            why: Why the answer is missing.
            is_ours: Whether our side lost it, so that it is no failure of the vendor.
            hint: A task id that the answer shows; a status request checks it.
        """

    @script()
    def release(
        self,
        job_id: str,
        nonce: str,
        why: Cause = "released",
        *,
        may_be_billed: bool = False,
        hint: str | None = None,
        goes_behind: bool = False,
        has_run: bool = False,
        delay_ms: int = 0,
        transient_code: str = "",
    ) -> list[str] | None:
        """Free the slot and requeue the job at its old place; None if the attempt is another's.

        Args:
            may_be_billed: Whether the vendor may have accepted the submission, which then counts in the day's estimate.
            hint: For a lost submission that is given up: the task that the vendor had named by then, '' for none. If
                another has been named meanwhile, the attempt is not the caller's any more. None: not compared.
            goes_behind: Whether the job goes behind the others of its priority instead.
            has_run: Whether its task has run and failed: only a running job is requeued then, else only one whose
                submission was not answered.
            delay_ms: For how long it is parked before it is waiting for a slot again. Its own deadline goes on.
            transient_code: The vendor's code of the failure, where that is why the job is retried: it then counts as
                a retry.

        Returns:
            The jobs that were given a slot.
        """

    def refuse(self, job_id: str, nonce: str, why: str) -> Parked | Proven | None:
        """Record a refusal without a verdict on the job; None if the attempt is another's.

        Other jobs that are accepted are evidence against this one; three jobs refused in a row are evidence against the
        account or the network path: then the circuit breaker is half-open until a submission is accepted.

        Returns:
            For how long it is parked, or that the cause is the job itself: then nothing was changed, and it must be
            settled.
        """
        answer = self._refuse(job_id, nonce, why, random.random())  # noqa: S311 - jitter, not a secret
        match answer:
            case ["proven", refusals]:
                return Proven(refusals)
            case ["parked", refusals, delay_ms, *granted]:
                return Parked(refusals, delay_ms, granted)
            case _:
                return None

    @script()
    def _refuse(self, job_id: str, nonce: str, why: Cause, jitter: float) -> list[Any] | None: ...

    @script()
    def unpark(self, job_id: str) -> list[str] | None:
        """Move a parked job to the waiting ones, at its old place; None if it is not parked.

        Returns:
            The jobs that were given a slot, perhaps this one among them.
        """

    # -- until its outcome is delivered -------------------------------------------------------------------------

    @script(bool)
    def drop_hint(self, job_id: str, nonce: str, hint: str) -> bool:
        """Drop a task id that turned out not to be the job's; False if this is no longer its hint."""

    @script(bool)
    def mark_unreadable(self, job_id: str, nonce: str, why: Cause) -> bool:
        """Record why a running task's answers cannot be read, '' if they can; False if the attempt is another's."""

    @script(Settled.read)
    def settle(
        self,
        job_id: str,
        nonce: str,
        outcome: Outcome,
        *,
        token: str = "",
        observed: Observation | None = None,
        delivers: bool = False,
        is_free: bool = False,
        hint: str | None = None,
        is_plain: bool = False,
        result: Stored | None = None,
    ) -> Settled | None:
        """Record the outcome, free the slot and hand it on; None if the attempt or the claim is another's.

        Args:
            job_id: The job, whose outcome must be delivered afterwards.
            nonce: The attempt the outcome belongs to.
            token: The claim's fencing token, where the outcome comes from a claimed poll.
            observed: How long the vendor had the task, where that is known.
            delivers: Whether the caller delivers the outcome itself, so that no other does while the lease lasts.
            is_free: Whether the vendor surely did not accept the submission.
            hint: As in `release`.
            is_plain: Whether the job has no callbacks, chain or chord. Then the same step stores the result and closes
                the record, unless the job has followers.
            result: Where Celery keeps the result of a plain job, and what it keeps there; None for one that wants none.
        """

    def mark_delivered(self, job_id: str, result_key: str | None = None) -> list[str] | None:
        """Record that the outcome was delivered; None if there was nothing to deliver.

        Args:
            result_key: Where Celery keeps its result; None for a job that wants none, or one closed already.

        Returns:
            The records that follow the job, each of which must be concluded.

        Raises:
            ResultMissing: There is no such key on the ledger's server.
        """
        verdict, *followers = self._mark_delivered(job_id, None if result_key is None else Key(result_key))
        if verdict < 0:
            raise ResultMissing(job_id)
        return followers if verdict else None

    @script(list)
    def _mark_delivered(self, job_id: str, result: Key | None) -> list[Any]: ...

    def cancel(self, job_id: str, outcome: Outcome) -> Cancelled:
        """Cancel a job that was not submitted yet.

        Args:
            job_id: The job, known or not: one whose message has not arrived is cancelled in advance.
            outcome: What its callers shall get.
        """
        verdict, *granted = self._cancel(job_id, outcome)
        cancelled = CancelOutcome.CANCELLED if verdict == "advance" else CancelOutcome(verdict)
        return Cancelled(cancelled, must_deliver=verdict == "cancelled", granted=granted)

    @script(list)
    def _cancel(self, job_id: str, outcome: Outcome) -> list[str]: ...

    @script()
    def expire(self, job_id: str, outcome: Outcome) -> list[str] | None:
        """Settle a job whose deadline passed before it was sent; None if it was sent, or has time left.

        Args:
            job_id: The job; work on it must go on afterwards.
            outcome: What its callers shall get.
        """

    @script()
    def forget(self, job_id: str) -> list[str] | None:
        """Remove what points to a job whose record is gone; None if the record exists.

        Returns:
            The jobs that were given its slot.
        """


def _values(entry: Entry) -> Iterator[str | int]:
    """Return a job as `admit` reads it."""
    yield entry.job_id
    yield entry.priority
    # The caller's own arguments are in it: kombu's JSON keeps their types, as in any message.
    yield dumps(entry.message)
    yield orjson.dumps(entry.request).decode()
    yield "" if entry.deadline_ms is None else entry.deadline_ms
    yield entry.fingerprint
    yield Bill.of(entry.request).to_json()
    yield entry.caller
    yield 1 if entry.has_key else 0


def _moment(stamp_ms: str) -> int | None:
    return int(stamp_ms) if stamp_ms else None
