"""What may happen to a ledger, as rules of a state machine: every call goes to the real scripts and to the model."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
)
from wanimate.contract import Outcome, Stage
from wanimate.errors import InvalidRequest
from wanimate_worker.ledger import (
    Bill,
    Blocked,
    Deliver,
    Entry,
    NoOp,
    Parked,
    Proven,
    RateLimited,
    Submit,
    WaitForPermit,
)

from .bench import CANCELLED, LONG_MS, UNKNOWN, granted_by, success
from .machine_account import JOBS, AccountRules
from .model_jobs import Attempt, Life, Look

REJECTED = Outcome.failure(InvalidRequest("the vendor refused the request", "400"))
#: What a run may write down about its attempt: also what it was not told, when it died or its answer was lost.
STEPS_BACK = ["not sent", "parked", "throttled", "too many", "unauthorised"]
RECORDS = ["accepted", "accepted", "lost", "rejected", "refused", "refused", "nothing", *STEPS_BACK]
#: Where webhooks go: those of two jobs in three, to two endpoints.
ENDPOINTS = ["https://one.example:443", "https://two.example:443"]


def endpoint_of_job(job_id: str) -> str | None:
    return [*ENDPOINTS, None][JOBS.index(job_id) % 3]


def cost_of(job_id: str) -> dict[str, Any]:
    return {"video_seconds": 5.0 + 10 * JOBS.index(job_id), "labels": {"job": job_id, "all": "yes"}}


def bill_ms_of(job_id: str) -> int:
    return round(1000 * Bill.of(cost_of(job_id)).seconds)


def outcome_named(name: str) -> Outcome:
    return {"cancelled": CANCELLED, "unknown": UNKNOWN, "rejected": REJECTED}.get(name) or success(name)


class LedgerRules(AccountRules):
    """Jobs, and runs of them that are slow, come twice or die between any two steps.

    A run that dies is one whose attempt, claim or delivery is never followed up; a late one is followed up later.
    """

    attempts = Bundle("attempts")
    looks = Bundle("looks")
    deliveries = Bundle("deliveries")

    # -- the life of a job --------------------------------------------------------------------------------------

    @initialize(count=st.integers(2, 6))
    def arrive(self, count: int) -> None:
        for number, job_id in enumerate(JOBS[:count]):
            self.admit(job_id, 0, opted_in=number % 2 == 0)

    @rule(job_id=AccountRules.jobs, priority=st.sampled_from([0, 0, 0, 4, 9]), opted_in=st.booleans())
    def admit(self, job_id: str, priority: int, *, opted_in: bool) -> None:
        request = {"type": "animate", "on_unknown": "resubmit" if opted_in else "fail", **cost_of(job_id)}
        endpoint = endpoint_of_job(job_id)
        if endpoint is not None:
            request["webhook_url"] = f"{endpoint}/ends/{job_id}"
        [admission] = self.ledger.jobs.admit([Entry(job_id, priority, {"seen": True}, request)])
        expected = self.model.admit(job_id, priority // 3, opted_in=opted_in, endpoint=endpoint)
        assert (admission.is_new, list(admission.granted)) == expected

    def begin(self, job_id: str, *, holds_permit: bool = False) -> Attempt | None:
        """Run a job's next step as far as the ledger's answer."""
        model, life = self.model, self.model.life(job_id)
        budget = self.budget()
        bill_ms = bill_ms_of(job_id)
        step = self.ledger.jobs.begin(job_id, holds_permit=holds_permit)
        if life is not None and life.stage == "settled" and not life.is_delivering:
            assert step == Deliver(outcome_named(life.outcome))
            life.is_delivering = True
            if job_id in model.due:
                model.clock(job_id)
        elif life is None or life.stage != "waiting" or job_id not in model.slots:
            assert step == NoOp(None if life is None else Stage(life.stage))
        elif not model.is_open or model.is_over_limit(bill_ms):
            assert step == Blocked()
            model.drop(job_id)
            model.line[job_id] = life.rank
        elif budget == "spent" and not holds_permit:
            assert isinstance(step, RateLimited)
            model.clock(job_id)
        elif budget == "nearly spent" and not holds_permit:
            assert isinstance(step, WaitForPermit)
        else:
            return self.begun(job_id, life, step)
        return None

    def begun(self, job_id: str, life: Life, step: object) -> Attempt:
        assert isinstance(step, Submit)
        assert all(attempt.is_released for attempt in life.attempts), "a second POST of a task that may exist"
        assert (step.attempt, step.in_flight) == (len(life.attempts) + 1, len(self.model.slots))
        self.posts += 1
        life.stage, life.nonce = "submitting", step.nonce
        self.model.bill(life, bill_ms_of(job_id))
        if self.model.is_doubted is not None:
            self.model.is_doubted, self.model.trial = True, step.nonce
        self.model.clock(job_id)
        life.attempts.append(Attempt(job_id, life, step, task_id=f"task{self.posts}"))
        return life.attempts[-1]

    @rule(target=attempts, job_id=AccountRules.jobs, holds_permit=st.booleans())
    def a_run_begins(self, job_id: str, *, holds_permit: bool) -> object:
        """Any message may come at any time, also twice."""
        attempt = self.begin(job_id, holds_permit=holds_permit)
        return multiple() if attempt is None else attempt

    @precondition(lambda self: self.ready)
    @rule(target=attempts, data=st.data(), is_recorded=st.booleans())
    def a_granted_job_is_sent(self, data: st.DataObject, *, is_recorded: bool) -> object:
        attempt = self.begin(data.draw(st.sampled_from(self.ready)), holds_permit=True)
        if attempt is None:
            return multiple()
        if is_recorded:
            attempt.is_accepted = True
            self.record(attempt, "accepted")
        return attempt

    @rule(attempt=attempts, is_accepted=st.booleans(), told=st.sampled_from(RECORDS))
    def the_vendor_answers(self, attempt: Attempt, told: str, *, is_accepted: bool) -> None:
        """The answer of an attempt, perhaps one long given up, is written down: at once, later, twice or never."""
        if attempt.is_accepted is None:
            attempt.is_accepted = is_accepted
        self.record(attempt, told)

    @precondition(lambda self: self.unsettled)
    @rule(data=st.data(), is_accepted=st.booleans(), told=st.sampled_from(RECORDS))
    def an_open_attempt_is_answered(self, data: st.DataObject, told: str, *, is_accepted: bool) -> None:
        self.the_vendor_answers(data.draw(st.sampled_from(self.unsettled)), told, is_accepted=is_accepted)

    @precondition(lambda self: self.stale)
    @rule(data=st.data(), is_accepted=st.booleans(), told=st.sampled_from(RECORDS))
    def a_given_up_attempt_speaks(self, data: st.DataObject, told: str, *, is_accepted: bool) -> None:
        """While another attempt of the same job is under way."""
        self.the_vendor_answers(data.draw(st.sampled_from(self.stale)), told, is_accepted=is_accepted)

    def record(self, attempt: Attempt, told: str) -> None:
        """Tell the ledger what became of an attempt, if that could be what its run was answered."""
        if told == "accepted" and attempt.is_accepted:
            self.record_accepted(attempt)
        elif told == "lost":
            is_ours = self.ledger.jobs.mark_unknown(attempt.job_id, attempt.submit.nonce, "timeout")
            self.changes_nothing(unless=is_ours)
            assert is_ours is self.model.lose(attempt.job_id, attempt.submit.nonce)
        elif told == "rejected" and attempt.is_accepted is False:
            granted = granted_by(self.ledger.jobs.settle(attempt.job_id, attempt.submit.nonce, REJECTED, is_free=True))
            self.changes_nothing(unless=granted is not None)
            assert granted == self.model.settle(attempt.job_id, attempt.submit.nonce, "rejected")
        elif told == "refused" and attempt.is_accepted is False:
            self.refuse(attempt)
        elif told in STEPS_BACK and attempt.is_accepted is False:
            self.step_back(attempt, told)

    def refuse(self, attempt: Attempt) -> None:
        """The vendor refuses an attempt without a verdict on its job; one that is proven is settled."""
        # Milliseconds tell what was sent before a refusal from what was sent after.
        self.bench.next_ms()
        answer = self.ledger.jobs.refuse(attempt.job_id, attempt.submit.nonce, "403")
        verdict, refusals, granted = self.model.refuse(attempt.job_id, attempt.submit.nonce)
        self.changes_nothing(unless=isinstance(answer, Parked))
        match answer:
            case Parked():
                assert (verdict, refusals, granted) == ("parked", answer.refusals, list(answer.granted))
                refused_at_ms = self.bench.redis.hget(self.bench.keys.job(attempt.job_id), "refused_at_ms")
                attempt.life.refused_at_ms = int(refused_at_ms or 0)
            case Proven():
                assert (verdict, refusals) == ("proven", answer.refusals)
                self.record(attempt, "rejected")
            case None:
                assert verdict == "lost"
        self.bench.next_ms()

    def record_accepted(self, attempt: Attempt) -> None:
        """Record a task: by the run, however late, or because the vendor's callback told of it."""
        is_ours = self.ledger.jobs.accept(
            attempt.job_id,
            attempt.submit.nonce,
            task_id=attempt.task_id,
            first_poll_ms=5 * LONG_MS,
            begun_at_ms=attempt.submit.begun_at_ms,
        )
        self.changes_nothing(unless=is_ours)
        assert is_ours is self.model.accept(attempt)

    def step_back(self, attempt: Attempt, why: str) -> None:
        """The vendor surely has no task of this attempt."""
        if why in {"throttled", "too many"}:
            self.close_gate(attempt.submit.begun_at_ms, lower_cap=why == "too many")
        elif why == "unauthorised":
            self.pause()
        self.before = self.bench.state()
        delay_ms = 7 * LONG_MS if why == "parked" else 0
        granted = self.ledger.jobs.release(attempt.job_id, attempt.submit.nonce, delay_ms=delay_ms)
        self.changes_nothing(unless=granted is not None)
        assert granted == self.model.release(attempt.job_id, attempt.submit.nonce, is_parked=delay_ms > 0)

    @precondition(lambda self: self.deliverable)
    @rule(target=deliveries, data=st.data(), is_finished=st.booleans())
    def a_run_delivers(self, data: st.DataObject, *, is_finished: bool) -> object:
        job_id = data.draw(st.sampled_from(self.deliverable))
        self.begin(job_id)
        if is_finished:
            assert (self.ledger.jobs.mark_delivered(job_id) is not None) is self.model.finish(job_id) is True
        return job_id

    @rule(job_id=consumes(deliveries))
    def a_run_finishes_late_or_twice(self, job_id: str) -> None:
        assert (self.ledger.jobs.mark_delivered(job_id) is not None) is self.model.finish(job_id)

    @rule(job_id=st.sampled_from(JOBS[4:]))
    def cancel(self, job_id: str) -> None:
        cancelled = self.ledger.jobs.cancel(job_id, CANCELLED)
        expected = self.model.cancel(job_id)
        assert (cancelled.outcome.value, cancelled.must_deliver, list(cancelled.granted)) == expected

    # -- the clock ----------------------------------------------------------------------------------------------

    @rule(target=looks, data=st.data(), limit=st.integers(1, 6), is_late=st.booleans())
    def a_poll_claims(self, data: st.DataObject, limit: int, *, is_late: bool) -> object:
        """Look at jobs whose time has come; each look may be followed at once, late, twice or never."""
        if is_late:
            self.time_passes(data)
        found = self.claim(limit)
        for look in found:
            if data.draw(st.booleans()):
                self.a_look_is_followed(look, has_ended=data.draw(st.booleans()))
        return multiple(*found)

    def claim(self, limit: int) -> list[Look]:
        # A token is the millisecond in which the lease ends, so claims of one millisecond share it. That is no harm
        # to workers, who take longer than that between two claims of one job; here it would be.
        self.bench.next_ms()
        expected = self.model.due_now(limit)
        claim = self.ledger.polls.claim(limit)
        assert list(claim.job_ids) == expected
        found = []
        for job in self.ledger.records.read(claim.job_ids):
            opted_in = job.request.get("on_unknown") == "resubmit"
            stage, hint = job.stage and job.stage.value, job.hint or ""
            found.append(Look(job.job_id, claim.token, stage, job.nonce, opted_in, hint))
            self.model.clock(job.job_id, by=found[-1])
        self.before = self.bench.state()
        return found

    @rule(look=looks, has_ended=st.booleans())
    def a_look_is_followed(self, look: Look, *, has_ended: bool) -> None:
        self.before = self.bench.state()
        if look.stage == "running" and has_ended:
            life = self.model.life(look.job_id)
            task_id = life.task_id if life is not None else ""
            granted = granted_by(self.ledger.jobs.settle(look.job_id, look.nonce, success(task_id), token=look.token))
            expected = self.model.settle(look.job_id, look.nonce, task_id, look)
        elif look.stage == "running":
            is_ours = self.model.due.get(look.job_id) is look
            granted = [] if self.ledger.polls.plan(look.token, {look.job_id: 6 * LONG_MS}) else None
            expected = [] if is_ours else None
            if is_ours:
                self.model.clock(look.job_id)
        elif look.stage == "submitting":
            granted = (
                [] if self.ledger.jobs.mark_unknown(look.job_id, look.nonce, "the worker died", is_ours=True) else None
            )
            expected = [] if self.model.lose(look.job_id, look.nonce, is_ours=True) else None
        elif look.stage == "unknown" and look.hint:
            self.check_hint(look)
            return
        elif look.stage == "unknown" and look.opted_in:
            granted = self.ledger.jobs.release(look.job_id, look.nonce, may_be_billed=True, hint="")
            expected = None
            if self.model.may_give_up(look):
                expected = self.model.release(look.job_id, look.nonce, may_be_billed=True)
        elif look.stage == "unknown":
            granted = granted_by(self.ledger.jobs.settle(look.job_id, look.nonce, UNKNOWN, hint=""))
            expected = self.model.settle(look.job_id, look.nonce, "unknown") if self.model.may_give_up(look) else None
        elif look.stage == "waiting":
            granted, expected = self.ledger.jobs.unpark(look.job_id), self.model.unpark(look.job_id)
        else:
            return
        self.changes_nothing(unless=granted is not None)
        assert granted == expected

    @rule(look=looks)
    def a_look_settles_and_delivers(self, look: Look) -> None:
        """In one step, unless further callers hang on the job."""
        if look.stage != "running":
            return
        self.before = self.bench.state()
        life = self.model.life(look.job_id)
        task_id = life.task_id if life is not None else ""
        settled = self.ledger.jobs.settle(look.job_id, look.nonce, success(task_id), token=look.token, is_plain=True)
        self.changes_nothing(unless=settled is not None)
        expected = self.model.settle(look.job_id, look.nonce, task_id, look)
        assert (None if settled is None else settled.granted) == expected
        if settled is not None and settled.stage is Stage.DELIVERED:
            assert self.model.finish(look.job_id)
        elif settled is not None and settled.stage is Stage.SETTLED and life is not None:
            life.is_delivering = True

    @rule(look=looks, is_parked=st.booleans())
    def a_failed_task_runs_again(self, look: Look, *, is_parked: bool) -> None:
        self.before = self.bench.state()
        delay_ms = 7 * LONG_MS if is_parked else 0
        granted = self.ledger.jobs.release(
            *(look.job_id, look.nonce),
            may_be_billed=True,
            has_run=True,
            delay_ms=delay_ms,
            transient_code="PROCESSING_TIMEOUT" if is_parked else "",
        )
        self.changes_nothing(unless=granted is not None)
        assert granted == self.model.release(
            look.job_id, look.nonce, may_be_billed=True, has_run=True, is_parked=is_parked
        )

    @rule(data=st.data())
    def time_passes(self, data: st.DataObject) -> None:
        """Let the time of one job come, or of all."""
        upcoming = sorted(set(self.model.due) - set(self.model.past))
        if upcoming:
            upcoming = data.draw(st.sampled_from([upcoming, *([job_id] for job_id in upcoming)]))
        for job_id in upcoming:
            self.score_past(job_id)
            look = self.model.due[job_id]
            if look is not None:
                # The claim was made that much earlier.
                look.token = str(self.past_scores)
            if self.bench.redis.hexists(self.bench.keys.job(job_id), "delivering_until_ms"):
                self.bench.redis.hset(self.bench.keys.job(job_id), "delivering_until_ms", self.bench.now_ms() - 1)
        self.model.let_pass(upcoming)

    def score_past(self, job_id: str) -> None:
        self.past_scores += 1
        self.bench.redis.zadd(self.bench.keys.due, {job_id: self.past_scores}, xx=True)

    def check_hint(self, look: Look) -> None:
        raise NotImplementedError

    # -- where something is likely to come of it ----------------------------------------------------------------

    @property
    def ready(self) -> list[str]:
        return sorted(job_id for job_id in self.model.slots if self.stage(job_id) == "waiting")

    @property
    def deliverable(self) -> list[str]:
        lives = self.model.lives.items()
        return sorted(job_id for job_id, life in lives if life.stage == "settled" and not life.is_delivering)

    @property
    def unsettled(self) -> list[Attempt]:
        lives = self.model.lives.values()
        return [life.attempts[-1] for life in lives if life.stage in {"submitting", "unknown"}]

    @property
    def stale(self) -> list[Attempt]:
        lives = [life for life in self.model.lives.values() if life.stage in {"submitting", "unknown", "running"}]
        return [attempt for life in lives for attempt in life.attempts[:-1]]

    def stage(self, job_id: str) -> str | None:
        life = self.model.life(job_id)
        return None if life is None else life.stage
