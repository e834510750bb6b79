"""Jobs that go back to the waiting: at once, or after a delay, in which they are parked."""

from __future__ import annotations

import random

from .base import LedgerBase, bounded
from .verdicts import Parked, Proven


class ParkingLedger(LedgerBase):
    """What puts a job back, and in line again."""

    def release(
        self,
        job_id: str,
        nonce: str,
        why: str = "released",
        *,
        may_be_billed: bool = False,
        hint: str | None = None,
        goes_behind: bool = False,
        has_run: bool = False,
        delay_ms: int = 0,
        transient_code: str = "",
    ) -> list[str] | None:
        """Give the slot back and put the job at its old place among the waiting; None if the attempt is another's.

        Args:
            job_id: The job.
            nonce: The attempt.
            why: For its history.
            may_be_billed: Whether the vendor may have accepted the submission, which then counts in the day's estimate.
            hint: For a lost submission that is given up: the task that the vendor had named by then, '' for none. If
                another has been named meanwhile, the attempt is not the caller's any more. None: not looked at.
            goes_behind: Whether the job goes behind the others of its priority instead.
            has_run: Whether its task has run and failed: only a running job is put back then, else only one whose
                submission was not answered.
            delay_ms: For how long it is parked before it is in line again. It counts as waiting, and its own deadline
                goes on.
            transient_code: The vendor's code of the failure, where that is why the job is sent again: it then counts as
                a retry.

        Returns:
            The jobs that were given a slot.
        """
        args = [job_id, nonce, *self._grants(), bounded(why), "" if may_be_billed else "1", named(hint)]
        args += ["1" if goes_behind else "", "1" if has_run else "", delay_ms, bounded(transient_code)]
        names = self._keys
        keys = [*self._job_keys(job_id), names.billed, names.unknown, names.parked, names.tally, names.spent]
        keys.append(names.balance)
        answer = self._scripts.release(keys=keys, args=args)
        return None if answer[0] == "lost" else list(answer[1:])

    def refuse(self, job_id: str, nonce: str, why: str) -> Parked | Proven | None:
        """Note a refusal without a verdict on the job; None if the attempt is another's.

        Other jobs that get through are evidence against this one; three jobs refused in a row are evidence against the
        account or the way to the vendor: then one submission at a time is tried until one is accepted.

        Args:
            job_id: The job.
            nonce: The attempt.
            why: For its history.

        Returns:
            For how long it is parked, or that the cause is the job itself: then nothing was changed, and it must be
            settled.
        """
        limits, names = self._limits, self._keys
        verdict, *facts = self._scripts.refuse(
            keys=[*self._job_keys(job_id), names.billed, names.parked, names.spent, names.balance],
            args=[
                *(job_id, nonce, *self._grants(), bounded(why)),
                *(limits.refusal_base_ms, limits.refusal_longest_ms),
                random.random(),  # noqa: S311 - jitter, not a secret
                *(limits.trial_base_ms, limits.backoff_longest_ms),
            ],
        )
        match verdict:
            case "proven":
                return Proven(*facts)
            case "parked":
                refusals, delay_ms, *granted = facts
                return Parked(refusals, delay_ms, granted)
            case _:
                return None

    def unpark(self, job_id: str) -> list[str] | None:
        """Put a parked job in line, at its old place; None if it is not parked.

        Returns:
            The jobs that were given a slot, perhaps this one among them.
        """
        keys = [*self._job_keys(job_id), self._keys.parked]
        answer = self._scripts.unpark(keys=keys, args=[job_id, *self._grants()])
        return None if answer[0] == "kept" else list(answer[1:])


def named(hint: str | None) -> str:
    """Return as an argument of a script which task had been named when a lost submission was given up."""
    return "" if hint is None else f"={hint}"
