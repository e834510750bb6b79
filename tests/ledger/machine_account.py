"""What happens to a whole account, as rules of the state machine: its gate, its limits, its operator, lost records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from wanimate_worker.ledger import RefusedBy

from .bench import LONG_MS, Bench, State
from .model import Model
from .model_outputs import CONNECTIONS

if TYPE_CHECKING:
    from redis import Redis

#: The first four are never cancelled, so that some get far.
JOBS = [f"job{number}" for number in range(9)]
#: Longer than a run waits for a permit, and shorter.
SPENT_US, NEARLY_SPENT_US = 3_600_000_000, 1_200_000_000
LEASES = {
    "permit_wait_ms": SPENT_US // 2000,
    "callback_interval_ms": 0,
    "keep_lease_ms": LONG_MS,
    "webhook_lease_ms": LONG_MS,
    "endpoint_connections": CONNECTIONS,
}
EVENTS = [
    *("throttled", "too many", "paused", "repair", "record deleted", "forget"),
    *("budget spent", "budget nearly spent", "budget free"),
]


#: Limits of a day that some of the jobs pass, and none.
LIMITS_MS = st.sampled_from([None, None, 60_000, 150_000, 400_000])


class AccountRules(RuleBasedStateMachine):
    """The ledger, its model, and what happens to all jobs at once."""

    jobs = st.sampled_from(JOBS)

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        redis.flushdb()
        self.bench = Bench(redis, max_in_flight=2, **LEASES)
        self.ledger = self.bench.ledger
        self.model = Model(cap=2)
        #: Jobs whose time has passed are given scores that no other event uses, in the order in which it passed.
        self.past_scores = 0
        self.posts = 0
        self.before: State = self.bench.state()

    # -- the gate, the cap, the budget --------------------------------------------------------------------------

    def close_gate(self, sent_at_ms: int, *, lower_cap: bool) -> None:
        # Milliseconds tell what was sent before from what was sent after: no two of these events share one.
        self.bench.next_ms()
        closed_ms = self.ledger.gate.close(
            "throttled",
            sent_at_ms=sent_at_ms,
            retry_after_seconds=LONG_MS / 1000,
            lower_cap=lower_cap,
            refused_by=RefusedBy.EITHER,
        )
        self.bench.next_ms()
        assert closed_ms >= LONG_MS
        if self.model.close(sent_at_ms, lower_cap=lower_cap):
            self.model.closed_at_ms = int(self.bench.redis.hget(self.bench.keys.account, "closed_at_ms") or 0)

    def pause(self) -> None:
        assert self.ledger.gate.suspend("the vendor refuses the key") is not self.model.is_paused
        self.model.is_paused = True

    @precondition(lambda self: not self.model.is_open)
    @rule(has_slots_left=st.booleans())
    def the_gate_opens(self, *, has_slots_left: bool) -> None:
        self.bench.open_gate()
        self.model.is_closed = False
        if self.model.is_doubted:
            self.model.is_doubted = False
        assert self.ledger.gate.unsuspend() is self.model.is_paused
        self.model.unpause()
        if not has_slots_left:
            assert self.ledger.polls.grant() == self.model.tick()

    @rule(cap=st.integers(1, 4), limit_ms=LIMITS_MS, is_used=st.booleans())
    def other_limits(self, cap: int, limit_ms: int | None, *, is_used: bool) -> None:
        self.bench.limit(max_in_flight=cap, daily_billed_ms=limit_ms)
        self.model.cap, self.model.limit_ms = cap, limit_ms
        if is_used:
            assert self.ledger.polls.grant() == self.model.tick()

    def spend_budget(self, ahead_us: int) -> None:
        rate = self.bench.rate
        tat_us = self.bench.now_us() + ahead_us + (rate.burst * rate.emission_interval_us if ahead_us else 0)
        self.bench.redis.hset(self.bench.keys.account, "tat_us", tat_us)

    def budget(self) -> str:
        ahead_us = int(self.bench.redis.hget(self.bench.keys.account, "tat_us") or 0) - self.bench.now_us()
        return "spent" if ahead_us > SPENT_US else "nearly spent" if ahead_us > NEARLY_SPENT_US // 2 else "free"

    # -- what happens now and then, and what should never happen ------------------------------------------------

    @rule(holds=st.sampled_from([True, False, False]))
    def the_operator_holds_or_lets_go(self, *, holds: bool) -> None:
        if holds:
            assert self.ledger.gate.pause("maintenance") is not self.model.is_held
        else:
            assert self.ledger.gate.resume() is self.model.is_held
        self.model.is_held = holds

    @rule(event=st.sampled_from(EVENTS), job_id=jobs)
    def something_rare(self, event: str, job_id: str) -> None:
        match event:
            case "throttled" | "too many":
                self.close_gate(self.bench.now_ms(), lower_cap=event == "too many")
            case "paused":
                self.pause()
            case "budget spent":
                self.spend_budget(2 * SPENT_US)
            case "budget nearly spent":
                self.spend_budget(NEARLY_SPENT_US)
            case "budget free":
                self.spend_budget(0)
            case "record deleted":
                self.bench.redis.delete(self.bench.keys.job(job_id))
                self.model.lives.pop(job_id, None)
                self.model.lost_records.add(job_id)
            case "repair":
                assert self.ledger.polls.repair() == 0, "a slot was outside the clock"
            case "forget":
                lost = sorted((set(self.model.due) | set(self.model.line)) - set(self.model.lives))
                for name in lost or [job_id]:
                    assert self.ledger.jobs.forget(name) == self.model.forget(name)

    def changes_nothing(self, *, unless: bool) -> None:
        """A writer that was told that it came too late has changed nothing at all."""
        if not unless:
            assert self.bench.state() == self.before
