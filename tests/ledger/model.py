"""What the ledger must do, said once more in plain Python, without a look at the scripts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from .model_jobs import Life
from .model_money import MoneyModel
from .model_outputs import OutputModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .model_jobs import Attempt, Look


class Model(MoneyModel, OutputModel):
    """Jobs, slots, clock and gate."""

    def __init__(self, cap: int) -> None:
        MoneyModel.__init__(self)
        OutputModel.__init__(self)
        self.cap = cap
        self.lives: dict[str, Life] = {}
        #: Jobs in line, also those whose record is gone; with their rank.
        self.line: dict[str, tuple[int, int]] = {}
        #: Jobs that wait for their next attempt, also those whose record is gone.
        self.parked: set[str] = set()
        self.slots: set[str] = set()
        #: For each job under the clock, whose claim set its time, if it was one.
        self.due: dict[str, Look | None] = {}
        #: Jobs whose time has come, the earliest first.
        self.past: list[str] = []
        #: Jobs whose time was set to now.
        self.woken: list[str] = []
        self.is_paused = False
        #: By the operator: nothing but the operator ends it.
        self.is_held = False
        self.is_closed = False
        self.failures = 0
        self.closed_at_ms = 0
        self.low_cap: int | None = None
        #: Submissions whose answer was lost since one was answered.
        self.lost = 0
        #: The time of the next trial has not come; None while submissions are trusted.
        self.is_doubted: bool | None = None
        #: The nonce of the submission that was tried last.
        self.trial = ""
        #: Why one is tried at a time.
        self.trial_for = ""
        #: Jobs refused without a verdict since one was accepted, and when the last accepted one was sent.
        self.refused = 0
        self.accepted_sent_ms = 0
        self.counters: Counter[str] = Counter()
        #: Jobs whose record was lost: what lists them as unknown may stay until it is repaired.
        self.lost_records: set[str] = set()
        self._arrivals = 0

    # -- parts --------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> list[str]:
        return sorted(self.line, key=lambda job_id: self.line[job_id])

    @property
    def is_open(self) -> bool:
        is_stopped = self.is_paused or self.is_held or self.is_out_of_money
        return not is_stopped and not self.is_closed and not self.is_doubted

    @property
    def effective_cap(self) -> int:
        return self.cap if self.low_cap is None else min(self.cap, self.low_cap)

    def clock(self, job_id: str, by: Look | None = None) -> None:
        """Set a job's time to some moment to come."""
        self.unclock(job_id)
        self.due[job_id] = by

    def wake(self, job_id: str) -> None:
        """Set a job's time to now."""
        self.clock(job_id)
        self.woken.append(job_id)

    def drop(self, job_id: str) -> None:
        self.line.pop(job_id, None)
        self.parked.discard(job_id)
        self.slots.discard(job_id)
        self.unclock(job_id)

    def unclock(self, job_id: str) -> None:
        self.due.pop(job_id, None)
        if job_id in self.past:
            self.past.remove(job_id)
        if job_id in self.woken:
            self.woken.remove(job_id)

    def grant(self) -> list[str]:
        if not self.is_open:
            return []
        if self.low_cap is not None and self.low_cap >= self.cap:
            self.low_cap = None
        free = max(0, self.effective_cap - len(self.slots))
        granted = self.waiting[: free if self.is_doubted is None else min(free, 1)]
        for job_id in granted:
            del self.line[job_id]
            self.slots.add(job_id)
            self.clock(job_id)
        return granted

    def tick(self) -> list[str]:
        """Hand out slots after a look whether limits of money leave room again."""
        self.weigh_again(is_waited_for=bool(self.line))
        return self.grant()

    def life(self, job_id: str) -> Life | None:
        return self.lives.get(job_id)

    # -- transitions; each returns what the ledger should answer ------------------------------------------------

    def admit(self, job_id: str, band: int, *, opted_in: bool, endpoint: str | None) -> tuple[bool, list[str]]:
        life = self.lives.get(job_id)
        if life is not None:
            if life.is_recorded:
                return False, []
            # Its message has come at last: it ends as cancelled, whoever delivers that.
            life.is_recorded = True
            if life.stage != "settled":
                return False, []
            # Only now it is known whom to tell.
            life.endpoint = endpoint
            self.write_event(job_id, life)
            self.clock(job_id)
            return False, [job_id]
        self.drop(job_id)
        self._arrivals += 1
        rank = (band, self._arrivals)
        self.lives[job_id] = Life(opted_in=opted_in, rank=rank, endpoint=endpoint)
        self.line[job_id] = rank
        return True, self.grant()

    def holds(self, attempt: Attempt, *stages: str) -> bool:
        """Whether an attempt is still its job's, which is in one of these stages."""
        life = self.lives.get(attempt.job_id)
        return life is not None and life.stage in stages and life.nonce == attempt.submit.nonce

    def accept(self, attempt: Attempt) -> bool:
        life = self.lives.get(attempt.job_id)
        if life is None or not self.holds(attempt, "submitting", "unknown", "running"):
            return False
        if life.stage != "running":
            was_called = life.stage == "submitting" and life.is_called
            if life.stage == "submitting":
                self.count_billed(life)
                self.trust()
                self.accepted_sent_ms = attempt.submit.begun_at_ms
            else:
                self.answered(attempt.submit.nonce)
            life.refusals = life.refused_at_ms = life.proofs = 0
            life.stage, life.task_id, life.hint = "running", attempt.task_id, ""
            (self.wake if was_called else self.clock)(attempt.job_id)
            if self.failures and attempt.submit.begun_at_ms >= self.closed_at_ms:
                self.is_closed, self.failures, self.closed_at_ms = False, 0, 0
        return True

    def trust(self) -> None:
        self.lost, self.refused, self.is_doubted, self.trial, self.trial_for = 0, 0, None, "", ""

    def answered(self, nonce: str) -> None:
        self.lost = 0
        if self.trial_for in {"", "lost"}:
            self.is_doubted, self.trial, self.trial_for = None, "", ""
        elif self.trial == nonce:
            self.is_doubted = False

    def try_later(self, nonce: str, in_a_row: int) -> bool:
        is_first = in_a_row >= 3 and self.is_doubted is None
        if is_first or (self.is_doubted is not None and self.trial == nonce):
            self.is_doubted = True
        return is_first

    def unpause(self) -> None:
        if self.is_paused and self.is_doubted is None:
            self.is_doubted, self.trial_for = False, "suspended"
        self.is_paused = False

    def lose(self, job_id: str, nonce: str, *, is_ours: bool = False) -> bool:
        life = self.lives.get(job_id)
        if life is None or life.stage != "submitting" or life.nonce != nonce:
            return False
        life.stage = "unknown"
        self.counters["lost"] += 1
        self.count_billed(life)
        if not is_ours:
            self.lost += 1
            if self.try_later(nonce, self.lost):
                self.trial_for = "lost"
        (self.wake if life.hint else self.clock)(job_id)
        return True

    def callback(self, attempt: Attempt, hint: str) -> str:
        job_id, life = attempt.job_id, self.lives.get(attempt.job_id)
        if life is None or life.stage in {"keeping", "settled", "delivered"}:
            return "ended"
        if not self.holds(attempt, "submitting", "unknown", "running"):
            return "stale"
        if life.stage != "running" and hint:
            if life.hint not in {"", hint}:
                return "checking"
            life.hint = hint
        if life.stage == "unknown" and not hint:
            return "noted"
        life.is_called = True
        if life.stage == "submitting":
            return "noted"
        if job_id not in self.past:
            self.wake(job_id)
        return "due"

    def drop_hint(self, job_id: str, nonce: str, hint: str) -> bool:
        life = self.lives.get(job_id)
        if life is None or (life.stage, life.nonce, life.hint) != ("unknown", nonce, hint):
            return False
        life.hint = ""
        self.clock(job_id)
        return True

    def may_give_up(self, look: Look) -> bool:
        """Whether nothing has been heard of a lost submission since somebody looked at it."""
        life = self.lives.get(look.job_id)
        return life is not None and (life.stage, life.hint) == ("unknown", look.hint)

    def release(
        self, job_id: str, nonce: str, *, may_be_billed: bool = False, has_run: bool = False, is_parked: bool = False
    ) -> list[str] | None:
        life = self.lives.get(job_id)
        stages = {"running"} if has_run else {"submitting", "unknown"}
        if life is None or life.stage not in stages or life.nonce != nonce:
            return None
        was_answered = life.stage != "submitting"
        life.retries += has_run
        if has_run and is_parked:
            self.counters["retries"] += 1
        life.stage, life.nonce, life.hint, life.is_called = "waiting", "", "", False
        life.attempts[-1].is_released = True
        if not may_be_billed:
            self.give_back(life, was_answered=was_answered)
        life.billed_ms = life.billed_micro_usd = 0
        if self.trial == nonce:
            self.is_doubted = False
        self.drop(job_id)
        if is_parked:
            self.parked.add(job_id)
            self.clock(job_id)
        else:
            self.line[job_id] = life.rank
        return self.grant()

    def refuse(self, job_id: str, nonce: str) -> tuple[str, int, list[str]]:
        life = self.lives.get(job_id)
        if life is None or life.stage != "submitting" or life.nonce != nonce:
            return "lost", 0, []
        # A run takes less than the minute in which an acceptance before the first refusal is proof.
        proofs = life.proofs + (0 < self.accepted_sent_ms >= life.refused_at_ms)
        refusals, is_news = life.refusals + 1, not life.refusals or proofs > life.proofs
        refused = self.refused + is_news
        if (proofs >= 2 and refusals >= 3) or (proofs >= 1 and refusals >= 6 and refused < 3):
            return "proven", refusals, []
        life.refusals, life.proofs, self.refused = refusals, proofs, refused
        self.try_later(nonce, self.refused)
        if self.refused >= 3:
            self.trial_for = "refused"
        life.stage, life.nonce, life.hint, life.is_called = "waiting", "", "", False
        life.attempts[-1].is_released = True
        self.give_back(life)
        self.drop(job_id)
        self.parked.add(job_id)
        self.clock(job_id)
        return "parked", life.refusals, self.grant()

    def unpark(self, job_id: str) -> list[str] | None:
        life = self.lives.get(job_id)
        if life is None or job_id not in self.parked:
            return None
        self.drop(job_id)
        self.line[job_id] = life.rank
        return self.grant()

    def settle(self, job_id: str, nonce: str, outcome: str, look: Look | None = None) -> list[str] | None:
        life = self.lives.get(job_id)
        if life is None or life.stage not in {"submitting", "unknown", "running"} or life.nonce != nonce:
            return None
        if look is not None and self.due.get(job_id) is not look:
            return None
        if life.stage == "submitting":
            self.answered(nonce)
        if outcome == "rejected":
            self.give_back(life, was_answered=life.stage != "submitting")
        if self.keeps_videos and outcome not in {"rejected", "unknown"}:
            life.stage, life.rendered = "keeping", outcome
            self.drop(job_id)
            return self.grant()
        self._end(job_id, life, outcome)
        return self.grant()

    def finish_keep(self, job_id: str, outcome: str) -> bool:
        """Settle a job as its keeper says, with the vendor's URL: nothing is copied here."""
        life = self.lives.get(job_id)
        if life is None or life.stage != "keeping":
            return False
        self._end(job_id, life, outcome)
        self.counters["copies:lost"] += 1
        return True

    def postpone_keep(self, job_id: str) -> bool:
        life = self.lives.get(job_id)
        if life is None or life.stage != "keeping":
            return False
        self.counters["copies:failed"] += 1
        return True

    def retry(self, job_id: str) -> list[str]:
        """Have the operator run a failed job again, which may bill it again."""
        life = self.lives[job_id]
        self._arrivals += 1
        life.stage, life.outcome, life.task_id, life.rank = "waiting", "", "", (0, self._arrivals)
        life.refusals = life.refused_at_ms = life.proofs = 0
        life.retries += 1
        life.attempts[-1].is_released = True
        self.line[job_id] = life.rank
        return self.grant()

    def cancel(self, job_id: str) -> tuple[str, bool, list[str]]:
        life = self.lives.get(job_id)
        if life is None:
            told = "unknown" if job_id in self.slots else "cancelled"
            self.drop(job_id)
            self.counters["ended:cancelled"] += 1
            self.lives[job_id] = Life(is_recorded=False, stage="settled", outcome="cancelled")
            return told, False, self.grant()
        if life.stage in {"settled", "delivered"}:
            return "finished", False, []
        if life.stage != "waiting":
            return "billed" if life.stage in {"running", "keeping"} else "unknown", False, []
        self._end(job_id, life, "cancelled")
        return "cancelled", True, self.grant()

    def _end(self, job_id: str, life: Life, outcome: str) -> None:
        life.stage, life.outcome = "settled", outcome
        self.write_event(job_id, life)
        kind = {"cancelled": "cancelled", "unknown": "failed", "rejected": "failed"}.get(outcome, "succeeded")
        self.counters[f"ended:{kind}"] += 1
        self.line.pop(job_id, None)
        self.parked.discard(job_id)
        self.slots.discard(job_id)
        self.clock(job_id)

    def finish(self, job_id: str) -> bool:
        life = self.lives.get(job_id)
        if life is None or life.stage != "settled":
            return False
        life.stage = "delivered"
        self.unclock(job_id)
        return True

    def forget(self, job_id: str) -> list[str] | None:
        if job_id in self.lives:
            return None
        self.drop(job_id)
        return self.grant()

    def close(self, sent_at_ms: int, *, lower_cap: bool) -> bool:
        """Close the gate; True if this failure counts as a new one."""
        self.is_closed = True
        self.counters["throttled"] += 1
        is_new = sent_at_ms >= self.closed_at_ms
        if is_new:
            self.failures += 1
            if lower_cap:
                self.low_cap = max(1, min(self.effective_cap, len(self.slots) * 9 // 10))
        return is_new

    def due_now(self, limit: int) -> list[str]:
        return self.past[:limit]

    def let_pass(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self.past.append(job_id)
            life = self.lives.get(job_id)
            if life is not None:
                life.is_delivering = False
