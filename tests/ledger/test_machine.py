"""The ledger's rules as a state machine: the real scripts on a real server against a plain model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from wanimate.contract import Outcome

from .bench import leaks
from .machine import outcome_named
from .machine_outputs import OutputRules

if TYPE_CHECKING:
    from redis import Redis

    from .bench import State
    from .model_jobs import Life

OPEN_STAGES = {"waiting", "submitting", "unknown", "running"}


class LedgerMachine(OutputRules):
    """What holds after every step, and how it ends."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        #: Of each run of each job.
        self.first_outcomes: dict[tuple[Life, int], str] = {}

    @invariant()
    def everything_is_in_order(self) -> None:
        self.pass_woken()
        before, self.before = self.before, self.bench.state()
        self.the_rules_hold(before, self.before)
        self.the_ledger_agrees_with_the_model()
        self.each_end_is_told_once()
        self.nobody_pays_twice()
        self.an_outcome_never_changes()

    def the_rules_hold(self, before: State, state: State) -> None:
        waiting, parked = set(state.waiting), set(state.parked)
        taken = state.slots - before.slots
        assert not taken or len(state.slots) <= self.model.effective_cap, "more slots than the cap"
        assert not waiting & state.slots
        assert not parked & (waiting | state.slots)
        assert parked <= state.due.keys()
        assert not {job_id for job_id in waiting & state.due.keys() if "deadline_at_ms" not in state.jobs[job_id]}
        assert state.slots <= state.due.keys()
        for job_id, job in state.jobs.items():
            stage = job["stage"]
            assert (stage in OPEN_STAGES) is (job_id in waiting | parked | state.slots)
            if stage in {"submitting", "unknown", "running"}:
                assert job_id in state.slots
            if stage == "settled" and "request" in job:
                assert job_id in state.due
            if stage in {"keeping", "delivered"}:
                assert job_id not in state.due
        for job_id in before.slots - state.slots:
            assert job_id in waiting | parked or state.stage(job_id) in {None, "keeping", "settled", "delivered"}, (
                "time alone freed a slot"
            )
        assert not state.others

    def the_ledger_agrees_with_the_model(self) -> None:
        state, model = self.before, self.model
        assert state.waiting == model.waiting, "first come, first served within a band"
        assert set(state.parked) == model.parked
        assert state.slots == model.slots
        assert state.due.keys() == model.due.keys()
        assert {job_id: job["stage"] for job_id, job in state.jobs.items()} == {
            job_id: life.stage for job_id, life in model.lives.items()
        }
        self.the_counts_agree(state)
        assert state.gate.get("cap_low") == (None if model.low_cap is None else str(model.low_cap))

    def the_counts_agree(self, state: State) -> None:
        model, day = self.model, str(self.bench.now_ms() // 86_400_000)
        counters = {name: int(value) for name, value in state.counters.items() if not name.startswith("webhook:")}
        assert counters == {**model.counters}
        assert int(state.billed.get(day, 0)) == model.spent_ms == int(state.billed.get(f"{day} all=yes", 0))
        assert model.spent_ms == sum(int(value) for name, value in state.billed.items() if " job=" in name)
        self.the_money_agrees(state, day)
        unknown = {job_id for job_id, life in model.lives.items() if life.stage == "unknown"}
        assert unknown <= set(state.unknown) <= unknown | model.lost_records

    def the_money_agrees(self, state: State, day: str) -> None:
        model, gate = self.model, state.gate
        assert int(state.spent.get(day, 0)) == model.spent_micro_usd == int(state.spent.get(f"{day} all=yes", 0))
        assert model.spent_micro_usd == sum(int(value) for name, value in state.spent.items() if " job=" in name)
        assert int(state.balance.get("sent_micro_usd", 0)) == model.sent_micro_usd
        assert int(state.balance.get("answered_micro_usd", 0)) == model.answered_micro_usd
        needs = gate.get("limited_need_ms"), gate.get("limited_need_micro_usd")
        assert needs == ((None, None) if model.limited is None else tuple(map(str, model.limited)))
        low = model.low_balance_need
        assert gate.get("low_balance_need") == (None if low is None else str(low))

    def nobody_pays_twice(self) -> None:
        for life in self.model.lives.values():
            assert life.opted_in or life.paid <= 1 + life.retries
            assert life.paid <= len(life.attempts)

    def an_outcome_never_changes(self) -> None:
        for job_id, life in self.model.lives.items():
            outcome = self.before.jobs[job_id].get("outcome")
            if outcome is not None:
                assert self.first_outcomes.setdefault((life, len(life.ends)), outcome) == outcome
                assert Outcome.model_validate_json(outcome) == outcome_named(life.outcome)

    # -- the end ------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Healthy workers take over: every job is delivered, no slot stays taken, nothing is forgotten."""
        recorded = {job_id: life for job_id, life in self.model.lives.items() if life.is_recorded}
        undelivered = {job_id for job_id, life in recorded.items() if life.stage != "delivered"}
        self.bench.hidden_jobs = ""
        self.ledger.gate.resume()
        self.bench.limit(daily_billed_ms=None, daily_billed_micro_usd=None, balance_hold_micro_usd=None)
        self.ledger.polls.repair()
        self.copy_what_is_left()
        self.bench.drain()
        self.send_what_is_left()
        end = self.bench.state()
        for job_id, life in recorded.items():
            assert end.stage(job_id) == "delivered"
            if job_id in undelivered:
                [outcome] = self.bench.delivered[job_id]
                assert not life.outcome or outcome == outcome_named(life.outcome)
        for record_id, promised in self.promised.items():
            self.it_was_kept(record_id, promised, end)
        assert not leaks(self.bench.redis, {"account"})

    def it_was_kept(self, record_id: str, promised: str | None, end: State) -> None:
        """A follower is delivered once: what it was promised, else what its leader got, or that this is lost."""
        assert end.stage(record_id) == "delivered"
        [outcome] = self.bench.delivered[record_id]
        is_lost = outcome.error == "SubmissionUnknown" and "is lost" in outcome.message
        if promised == "lost":
            assert is_lost
        elif promised is not None:
            assert outcome == outcome_named(promised)
        else:
            leader = end.jobs.get(record_id.split(":")[1], {})
            assert is_lost or outcome == Outcome.model_validate_json(leader["outcome"])


@pytest.mark.slow
@pytest.mark.timeout(400)  # 9,600 steps
@pytest.mark.leaves("account")
def test_the_ledgers_rules_hold_for_dead_late_and_repeated_writers(redis: Redis) -> None:
    class Machine(LedgerMachine):
        def __init__(self) -> None:
            super().__init__(redis)

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=120,
            stateful_step_count=80,
            derandomize=True,
            deadline=None,
            database=None,
            print_blob=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, Phase.shrink],
        ),
    )
