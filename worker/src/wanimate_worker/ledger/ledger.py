"""The ledger: one method per script."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final

import orjson
from kombu.utils.json import dumps
from wanimate.contract import CLAIM_TTL_MS, CancelOutcome, Outcome, Stage

from ..stopwatch import Stopwatch
from .balance import BalanceLedger
from .base import bounded, cause_of
from .confirming import ConfirmingLedger
from .following import FollowingLedger
from .gating import GatingLedger
from .operating import OperatingLedger
from .parking import ParkingLedger, named
from .reading import ReadingLedger
from .steps import Busy, Deliver, Later, NothingToDo, Step, Submit, WaitForPermit
from .values import Admission, Admitted, Bill, Cancelled, Claim, ResultMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .values import Entry, Observation

#: What was learnt about durations is kept for so long after the last task ended, in ms: 30 days.
_DURATIONS_TTL_MS: Final = 30 * 86_400_000


class Ledger(
    OperatingLedger, GatingLedger, ParkingLedger, BalanceLedger, ConfirmingLedger, FollowingLedger, ReadingLedger
):
    """Jobs, slots, clock, budget and gate of one vendor account.

    Every method is one atomic script (or one read) on the server; every change is safe to repeat.

    Args:
        redis: A connection that decodes responses to `str`.
        account: The vendor account.
        limits: This process's leases.
    """

    # -- a job's life, in order ---------------------------------------------------------------------------------

    def admit(self, entries: Sequence[Entry]) -> list[Admission]:
        """Record new jobs, in one round trip, and hand out free slots; each job is atomic by itself.

        Args:
            entries: The jobs. One that was recorded before is left alone.
        """
        with self._redis.pipeline(transaction=False) as pipeline:
            for entry in entries:
                self._scripts.admit(
                    keys=[
                        *self._job_keys(entry.job_id),
                        *(self._keys.failed, self._keys.idempotency(entry.job_id)),
                        *(self._keys.enqueued, self._keys.parked),
                    ],
                    args=[
                        entry.job_id,
                        entry.priority,
                        # The caller's own arguments are in it: kombu's JSON keeps their types, as in any message.
                        dumps(entry.message),
                        orjson.dumps(entry.request).decode(),
                        *self._grants(),
                        "" if entry.deadline_ms is None else entry.deadline_ms,
                        self._limits.result_ttl_ms,
                        entry.fingerprint,
                        Bill.of(entry.request).to_json(),
                        entry.caller,
                        CLAIM_TTL_MS if entry.has_key else "",
                    ],
                    client=pipeline,
                )
            answers = pipeline.execute()
        return [Admission(Admitted(verdict), caller, granted) for verdict, caller, *granted in answers]

    def begin(self, job_id: str, *, holds_permit: bool = False) -> Step:
        """Claim the next step of a job for this run: submit it, deliver it, or nothing.

        Args:
            job_id: The job.
            holds_permit: Whether an earlier call reserved a request permit whose time has come.
        """
        limits, nonce, asked = self._limits, secrets.token_hex(8), Stopwatch()
        verdict, *facts = self._scripts.begin(
            keys=[
                *self._job_keys(job_id),
                *(self._keys.budget, self._keys.tally, self._keys.billed, self._keys.spent, self._keys.balance),
            ],
            args=[
                job_id,
                nonce,
                limits.submit_lease_ms,
                limits.lease_ms,
                limits.permit_wait_ms * 1000,
                "1" if holds_permit else "",
            ],
        )
        match verdict:
            case "submit":
                attempt, begun_at_ms, in_flight, waiting_at, request = facts
                return Submit(nonce, attempt, begun_at_ms, in_flight, orjson.loads(request), _moment(waiting_at), asked)
            case "deliver":
                stored, attempts, waiting_at, settled_at, now_ms = facts
                outcome = Outcome.model_validate_json(stored)
                return Deliver(outcome, attempts, _moment(waiting_at), _moment(settled_at), now_ms, asked)
            case "wait":
                return WaitForPermit(facts[0], asked)
            case "busy":
                return Busy(facts[0])
            case "later":
                return Later()
            case _:
                return NothingToDo(Stage(facts[0]) if facts[0] else None)

    def accept(
        self,
        job_id: str,
        nonce: str,
        *,
        task_id: str,
        first_poll_ms: int,
        begun_at_ms: int,
        started: tuple[str, str] | None = None,
    ) -> bool:
        """Record that the vendor has the task; False if this attempt is no longer the job's.

        Args:
            job_id: The job.
            nonce: The attempt.
            task_id: The vendor's task id.
            first_poll_ms: When to poll first, from now.
            begun_at_ms: When the attempt began, in Redis time.
            started: Where Celery keeps its result, and what it keeps there of a task that has started; None for a job
                that wants no result.
        """
        result_key, mark = started or ("", "")
        names = self._keys
        keys = [names.job(job_id), names.due, names.gate, names.tally, names.unknown, names.answered, names.balance]
        args: list[str | int] = [job_id, nonce, task_id, first_poll_ms, begun_at_ms, mark, self._limits.result_ttl_ms]
        return bool(self._scripts.accept(keys=[*keys, *([result_key] if result_key else ())], args=args))

    def lose(self, job_id: str, nonce: str, why: str, *, is_ours: bool = False, hint: str = "") -> bool:
        """Record that the answer to a submission was lost; the slot stays taken. False if the attempt is another's.

        After three in a row that the vendor's side lost, one submission at a time is tried until one is answered.

        Args:
            job_id: The job.
            nonce: The attempt.
            why: What became of the answer.
            is_ours: Whether our side lost it, which says nothing about the vendor.
            hint: A task id that the answer shows; it is checked before it is believed.
        """
        limits, names = self._limits, self._keys
        return bool(
            self._scripts.lose(
                keys=[names.job(job_id), names.due, names.gate, names.tally, names.unknown, names.balance],
                args=[
                    job_id,
                    nonce,
                    limits.unknown_after_ms,
                    bounded(why),
                    "" if is_ours else "1",
                    limits.trial_base_ms,
                    limits.backoff_longest_ms,
                    hint,
                ],
            )
        )

    def drop_hint(self, job_id: str, nonce: str, hint: str) -> bool:
        """Drop a task id that turned out not to be the job's; False if this is no longer its hint."""
        keys = [self._keys.job(job_id), self._keys.due]
        return bool(self._scripts.drop_hint(keys=keys, args=[job_id, nonce, hint]))

    def mark_unreadable(self, job_id: str, nonce: str, why: str) -> bool:
        """Note why a running task's answers cannot be read, '' if they can; False if the attempt is another's."""
        return bool(self._scripts.mark_unreadable(keys=[self._keys.job(job_id)], args=[nonce, bounded(why)]))

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
    ) -> list[str] | None:
        """Record the outcome, free the slot and hand it on; None if the attempt or the claim is another's.

        Args:
            job_id: The job, which must be resumed afterwards to deliver the outcome.
            nonce: The attempt the outcome belongs to.
            outcome: How the job ended.
            token: The claim's fencing token, where the outcome comes from a claimed poll.
            observed: How long the vendor had the task, where that is known.
            delivers: Whether the caller delivers the outcome itself, so that nobody else does while the lease lasts.
            is_free: Whether the vendor surely did not accept the submission.
            hint: As in `release`.

        Returns:
            The jobs that were given a slot and must be resumed too.
        """
        answer = self._scripts.settle(
            keys=[
                *self._job_keys(job_id),
                *(self._keys.failed, self._keys.durations, self._keys.tally, self._keys.billed, self._keys.unknown),
                *(self._keys.spent, self._keys.balance),
            ],
            args=[
                job_id,
                nonce,
                token,
                outcome.model_dump_json(exclude_none=True),
                *self._grants(),
                cause_of(outcome),
                self._failed_ttl(outcome),
                "" if observed is None else observed.field,
                _DURATIONS_TTL_MS,
                "1" if delivers else "",
                outcome.kind.value,
                "1" if is_free else "",
                *(("", "", "") if observed is None else observed.arguments()),
                named(hint),
            ],
        )
        return None if answer[0] == "lost" else list(answer[1:])

    def finish(self, job_id: str, result_key: str | None = None) -> list[str] | None:
        """Record that the outcome was delivered; None if there was nothing to deliver.

        Args:
            job_id: The job.
            result_key: Where Celery keeps its result; None for a job that wants none, or one closed already.

        Returns:
            The records that follow the job, each of which must be concluded.

        Raises:
            ResultMissing: There is no such key on the ledger's server.
        """
        limits, names = self._limits, self._keys
        keys = [names.job(job_id), names.due, names.failed, names.idempotency(job_id), names.followers(job_id)]
        args: list[str | int] = [job_id, limits.result_ttl_ms, limits.failed_ttl_ms]
        verdict, *followers = self._scripts.finish(keys=[*keys, *([result_key] if result_key else ())], args=args)
        if verdict < 0:
            raise ResultMissing(job_id)
        return followers if verdict else None

    def cancel(self, job_id: str, outcome: Outcome) -> Cancelled:
        """Cancel a job that was not submitted yet.

        Args:
            job_id: The job, known or not: one whose message has not arrived is cancelled in advance.
            outcome: What its callers shall get.
        """
        verdict, *granted = self._scripts.cancel(
            keys=[*self._job_keys(job_id), self._keys.tally, self._keys.unknown, self._keys.parked],
            args=[job_id, outcome.model_dump_json(exclude_none=True), *self._grants(), self._limits.result_ttl_ms],
        )
        told = CancelOutcome.CANCELLED if verdict == "advance" else CancelOutcome(verdict)
        return Cancelled(told, must_deliver=verdict == "cancelled", granted=granted)

    def forget(self, job_id: str) -> list[str] | None:
        """Remove what points to a job whose record is gone; None if the record exists.

        Returns:
            The jobs that were given its slot.
        """
        keys = [*self._job_keys(job_id), self._keys.unknown, self._keys.parked]
        answer = self._scripts.forget(keys=keys, args=[job_id, *self._grants()])
        return None if answer[0] == "exists" else list(answer[1:])

    # -- the clock ----------------------------------------------------------------------------------------------

    def claim(self, limit: int) -> Claim:
        """Claim at most `limit` jobs whose time has come."""
        lease_ms = self._limits.poll_lease_ms
        token, *job_ids = self._scripts.claim(keys=[self._keys.due], args=[limit, lease_ms])
        return Claim(token, claimed_at_ms=int(token) - lease_ms, job_ids=job_ids)

    def plan(
        self, token: str, delays_ms: Mapping[str, int], *, answered_since_ms: int | None = None, answered: int = 0
    ) -> int:
        """Set when claimed jobs are looked at next, and return for how many the claim still held.

        Args:
            token: The claim's fencing token.
            delays_ms: For each job, the delay from the claim.
            answered_since_ms: When the claim was made, if the vendor answered a request sent since then.
            answered: How many requests the vendor answered, and not with a 429.
        """
        if not delays_ms and answered_since_ms is None and not answered:
            return 0
        pairs = [part for pair in delays_ms.items() for part in pair]
        since = "" if answered_since_ms is None else answered_since_ms
        args = [token, self._limits.poll_lease_ms, since, answered, *pairs]
        return int(self._scripts.plan(keys=[self._keys.due, self._keys.gate, self._keys.answered], args=args))

    def grant(self) -> list[str]:
        """Hand out slots that are free although jobs wait, and return the jobs that got one."""
        names = self._keys
        keys = [names.waiting, names.slots, names.due, names.gate, names.limits, names.billed, names.spent]
        return list(self._scripts.grant(keys=[*keys, names.balance], args=self._grants()))

    def repair(self) -> int:
        """Put slots and parked jobs without a due time back under the clock, and return how many there were."""
        keys = [self._keys.slots, self._keys.due, self._keys.unknown, self._keys.parked]
        return int(self._scripts.repair(keys=keys, args=[]))


def _moment(stamp_ms: str) -> int | None:
    return int(stamp_ms) if stamp_ms else None
