"""The vendor's callbacks, as rules of the ledger's state machine: true, false, late and repeated ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from .bench import granted_by, success
from .machine import LedgerRules

if TYPE_CHECKING:
    from .model_jobs import Attempt, Look

#: What a callback may name: the task of its attempt, another one, or nothing.
NAMED = ["its task", "its task", "another task", ""]


class CallbackRules(LedgerRules):
    """Anything that knows a signed URL may call at any time, and name whatever it likes."""

    @rule(attempt=LedgerRules.attempts, named=st.sampled_from(NAMED))
    def the_vendor_calls_back(self, attempt: Attempt, named: str) -> None:
        """A callback comes, perhaps of an attempt long given up; the vendor's own comes for accepted tasks only."""
        if attempt.is_accepted is None:
            attempt.is_accepted = True
        is_true = attempt.is_accepted and named == "its task"
        hint = attempt.task_id if is_true else named and "another-task"
        effect = self.ledger.durable.callback(attempt.job_id, attempt.submit.nonce, hint)
        self.changes_nothing(unless=effect in {"due", "noted"})
        assert effect == self.model.callback(attempt, hint)

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data(), named=st.sampled_from(NAMED))
    def an_open_attempt_is_called_back(self, data: st.DataObject, named: str) -> None:
        self.the_vendor_calls_back(data.draw(st.sampled_from(self.unsettled)), named)

    def pass_woken(self) -> None:
        """Give jobs whose time was set to now their place among those whose time has come."""
        for job_id in self.model.woken:
            score = self.bench.redis.zscore(self.bench.keys.due, job_id)
            assert score is not None
            assert score <= self.bench.now_ms(), "it is not due now"
            self.score_past(job_id)
            self.model.past.append(job_id)
        self.model.woken.clear()

    def check_hint(self, look: Look) -> None:
        """Ask the vendor about the task that a callback named, and believe what it says."""
        life = self.model.life(look.job_id)
        attempts = [] if life is None else life.attempts
        found = [each for each in attempts if (each.task_id, each.submit.nonce) == (look.hint, look.nonce)]
        if found:
            self.record_accepted(found[0])
            self.before = self.bench.state()
            granted = granted_by(self.ledger.jobs.settle(look.job_id, look.nonce, success(look.hint)))
            self.changes_nothing(unless=granted is not None)
            assert granted == self.model.settle(look.job_id, look.nonce, look.hint)
        else:
            is_ours = self.ledger.jobs.drop_hint(look.job_id, look.nonce, look.hint)
            self.changes_nothing(unless=is_ours)
            assert is_ours is self.model.drop_hint(look.job_id, look.nonce, look.hint)
