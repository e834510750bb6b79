"""What the tests of the ledger share: a ledger on a real server, its whole state, and what healthy workers do."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, cast

from wanimate.contract import Keys, Outcome, Result, Stage
from wanimate.errors import JobCancelled, SubmissionUnknown
from wanimate_devstack.stack import CLOSED_GATE
from wanimate_worker.ledger import (
    AccountLimits,
    Bill,
    Deliver,
    Entry,
    Follower,
    JobFields,
    Ledger,
    LedgerLimits,
    Settled,
    Submit,
    WaitForPermit,
)
from wanimate_worker.pacing import RequestRate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis import Redis

ACCOUNT = "acct"
#: Leases as long as this never end during a test by themselves, and each is another number, so that no score set for
#: one reason can be mistaken for one set for another.
LONG_MS = 10_000_000
LIMITS = LedgerLimits(
    lease_ms=1 * LONG_MS,
    submit_lease_ms=2 * LONG_MS,
    poll_lease_ms=3 * LONG_MS,
    unknown_after_ms=4 * LONG_MS,
    backoff_base_ms=500,
    backoff_max_ms=60_000,
    breaker_base_ms=LONG_MS,
    probe_interval_ms=5 * LONG_MS,
    callback_interval_ms=LONG_MS // 2,
)
#: Two slots, and a budget that is never spent.
RATE = RequestRate(60_000, burst=1_000)
ACCOUNT_LIMITS = AccountLimits(max_in_flight=2, requests_per_minute=RATE.requests_per_minute)
LIMIT_FIELDS = frozenset({*ACCOUNT_LIMITS.fields(), "api_base_url"})
CANCELLED = Outcome.failure(JobCancelled("cancelled before it was sent to the vendor; nothing is billed"))
UNKNOWN = Outcome.failure(SubmissionUnknown("the answer to the submission was lost"))


def success(task_id: str) -> Outcome:
    return Outcome.success(Result(urls=("https://example.com/v.mp4",), task_id=task_id))


def eventually(condition: Callable[[], Any], timeout_seconds: float = 10.0) -> Any:
    """Return what the condition gives once it is true; fail after the deadline."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "not within the deadline"
        time.sleep(0.0005)
    return value


def key_names(redis: Redis, pattern: str) -> list[str]:
    return sorted(cast("list[str]", redis.keys(pattern)))


@dataclass(frozen=True)
class State:
    """Everything under the account's prefix."""

    waiting: list[str]
    parked: list[str]
    slots: set[str]
    due: dict[str, float]
    account: dict[str, str]
    failed: list[str]
    unknown: list[str]
    counters: dict[str, str]
    billed: dict[str, str]
    spent: dict[str, str]
    balance: dict[str, str]
    jobs: dict[str, dict[str, str]]
    others: list[str]

    @property
    def gate(self) -> dict[str, str]:
        """The account's fields but for its limits and the request budget."""
        return {name: value for name, value in self.account.items() if name not in {*LIMIT_FIELDS, "tat_us"}}

    @property
    def budget(self) -> str | None:
        return self.account.get("tat_us")

    def stage(self, job_id: str) -> str | None:
        return self.jobs.get(job_id, {}).get("stage")

    @property
    def has_work(self) -> bool:
        return bool(self.waiting or self.parked or self.slots or self.due)


class Bench:
    """A ledger with small limits on a flushed database."""

    def __init__(self, redis: Redis, **limits: Any) -> None:
        self.redis = redis
        self.keys = Keys(ACCOUNT)
        own = {name: limits.pop(name) for name in {field.name for field in fields(LIMITS)} & limits.keys()}
        self.limits = replace(LIMITS, **own)
        self.ledger = Ledger(redis, ACCOUNT, self.limits)
        self.limit(**{"max_in_flight": ACCOUNT_LIMITS.max_in_flight, "rate": RATE, "poll_headroom": 0, **limits})
        #: Jobs that `state` leaves out, by the beginning of their ids; none if empty.
        self.hidden_jobs = ""
        #: Every outcome that a run was given to deliver.
        self.delivered: dict[str, list[Outcome]] = {}

    def with_own(self, **limits: Any) -> Ledger:
        """Return another ledger over the same keys, as a host with other leases has it."""
        return Ledger(self.redis, ACCOUNT, replace(self.limits, **limits))

    def limit(self, *, rate: RequestRate | None = None, **limits: int | None) -> None:
        """Set the account's limits for everyone, also such as no formula gives: a burst, a headroom."""
        if rate is not None:
            self.rate = rate
            limits |= {"requests_per_minute": rate.requests_per_minute, "burst": rate.burst}
            limits["emission_interval_us"] = rate.emission_interval_us
        values = {name: "" if value is None else value for name, value in limits.items()}
        self.redis.hset(self.keys.account, mapping=values)

    # -- looking ------------------------------------------------------------------------------------------------

    def now_us(self) -> int:
        seconds, micros = self.redis.time()
        return int(seconds) * 1_000_000 + int(micros)

    def now_ms(self) -> int:
        return self.now_us() // 1000

    def next_ms(self) -> int:
        """Wait for the next millisecond of the server and return it."""
        before = self.now_ms()
        return int(eventually(lambda: (now := self.now_ms()) > before and now))

    def state(self) -> State:
        keys, job_prefix = self.keys, self.keys.job("")
        names = key_names(self.redis, f"wanimate:{{{ACCOUNT}}}:*")
        if self.hidden_jobs:
            names = [name for name in names if f":{self.hidden_jobs}" not in name and ":followers:" not in name]
        job_keys = [name for name in names if name.startswith(job_prefix)]
        known = {keys.waiting, keys.slots, keys.due, keys.account, keys.failed, *job_keys}
        known |= {keys.parked, keys.unknown, keys.counters, keys.samples, keys.billed, keys.spent, keys.wake}
        known |= {keys.balance, keys.answered, keys.throttles, keys.events, keys.keeping, keys.keeping_later}
        known |= {keys.deliveries, keys.outbox, keys.endpoints, keys.successors, keys.dead_webhooks}
        known |= {name for name in names if name.startswith((keys.endpoint(""), keys.sending("")))}
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.zrange(keys.waiting, 0, -1)
            pipeline.zrange(keys.parked, 0, -1)
            pipeline.zrange(keys.slots, 0, -1)
            pipeline.zrange(keys.due, 0, -1, withscores=True)
            pipeline.hgetall(keys.account)
            pipeline.zrange(keys.failed, 0, -1)
            pipeline.zrange(keys.unknown, 0, -1)
            pipeline.hgetall(keys.counters)
            pipeline.hgetall(keys.billed)
            pipeline.hgetall(keys.spent)
            pipeline.hgetall(keys.balance)
            for name in job_keys:
                pipeline.hgetall(name)
            waiting, parked, slots, due, account, failed, unknown, counters, *stored = pipeline.execute()
        billed, spent, balance, *hashes = stored
        return State(
            waiting=waiting,
            parked=parked,
            slots=set(slots),
            due={job_id: float(score) for job_id, score in due if not self._is_hidden(job_id)},
            account=account,
            failed=failed,
            unknown=unknown,
            counters=counters,
            billed=billed,
            spent=spent,
            balance=balance,
            jobs={name.removeprefix(job_prefix): fields for name, fields in zip(job_keys, hashes, strict=True)},
            others=[name for name in names if name not in known],
        )

    def _is_hidden(self, job_id: str) -> bool:
        return bool(self.hidden_jobs) and job_id.startswith(self.hidden_jobs)

    def job(self, job_id: str) -> JobFields:
        return self.ledger.records.read([job_id])[0]

    # -- bringing jobs somewhere --------------------------------------------------------------------------------

    def admit(self, *job_ids: str, priority: int = 0, ledger: Ledger | None = None, **request: Any) -> list[str]:
        """Record jobs and return those that were given a slot."""
        entries = [Entry(job_id, priority, {"seen": True}, {"type": "animate", **request}) for job_id in job_ids]
        return [granted for admission in (ledger or self.ledger).jobs.admit(entries) for granted in admission.granted]

    def begin(self, job_id: str) -> Submit:
        step = self.ledger.jobs.begin(job_id)
        assert isinstance(step, Submit), step
        return step

    def bill(self, job_id: str, seconds: float, *labels: str) -> None:
        """Have a recorded job cost so much, and be counted under these labels."""
        self.redis.hset(self.keys.job(job_id), "bill", Bill(seconds, labels).to_json())

    def accept(self, job_id: str, submit: Submit, task_id: str = "") -> bool:
        return self.ledger.jobs.accept(
            job_id,
            submit.nonce,
            task_id=task_id or f"task-{job_id}",
            first_poll_ms=5 * LONG_MS,
            begun_at_ms=submit.begun_at_ms,
        )

    def start(self, job_id: str, **request: Any) -> Submit:
        """Admit and submit: the vendor has the task."""
        self.admit(job_id, **request)
        submit = self.begin(job_id)
        assert self.accept(job_id, submit)
        return submit

    def let_time_pass(self, *job_ids: str) -> None:
        """Make these jobs due, or all: whoever had claimed them is taken for dead."""
        past = self.now_ms() - 1
        state = self.state()
        for job_id in job_ids or state.due:
            self.redis.zadd(self.keys.due, {job_id: past}, xx=True, lt=True)
        for job_id in job_ids or state.jobs:
            if self.redis.hexists(self.keys.job(job_id), "delivering_until_ms"):
                self.redis.hset(self.keys.job(job_id), "delivering_until_ms", past)

    def clear_gate(self) -> None:
        """Forget what the gate was closed for; the account's limits stay."""
        self.redis.hdel(self.keys.account, *CLOSED_GATE, "lost_in_a_row", "refused_in_a_row", "refused_why")
        self.redis.hdel(self.keys.account, "cap_low", "cap_low_at_ms", "accepted_sent_ms")

    def open_gate(self) -> None:
        """Let the time pass for which the gate is closed, or a trial is put off."""
        if self.redis.hexists(self.keys.account, "breaker_next_ms"):
            self.redis.hset(self.keys.account, "breaker_next_ms", self.now_ms() - 1)
        if self.redis.hexists(self.keys.account, "closed_until_ms"):
            self.redis.hset(self.keys.account, "closed_until_ms", self.now_ms() - 1)

    # -- what healthy workers do: tasks/generate.py and tasks/poll.py without Celery and HTTP -------------------

    def post(self, job_id: str) -> str:
        """Stand for the vendor, which accepts everything."""
        return f"task-{job_id}"

    def resume(self, job_ids: Iterable[str]) -> None:
        pending = list(job_ids)
        while pending:
            job_id = pending.pop(0)
            if self.job(job_id).stage is None:
                pending += self.ledger.jobs.forget(job_id) or []
            else:
                self.run(job_id)

    def run(self, job_id: str) -> None:
        step = self.ledger.jobs.begin(job_id)
        if isinstance(step, WaitForPermit):
            step = self.ledger.jobs.begin(job_id, holds_permit=True)
        match step:
            case Submit():
                self.accept(job_id, step, self.post(job_id))
            case Deliver(outcome):
                self.delivered.setdefault(job_id, []).append(outcome)
                followers = self.ledger.jobs.mark_delivered(job_id) or []
                self.resume([each for each in followers if self.ledger.followers.conclude(each, job_id)])

    def poll(self) -> None:
        ledger = self.ledger
        if ledger.gate.claim_probe():
            ledger.gate.unsuspend()
        self.resume(ledger.polls.grant())
        claim = ledger.polls.claim(10)
        for job in ledger.records.read(claim.job_ids):
            self._look(job, claim.token)

    def _look(self, job: JobFields, token: str) -> None:
        ledger = self.ledger
        match job.stage:
            case Stage.WAITING | Stage.SETTLED | None:
                self.resume(ledger.jobs.unpark(job.job_id) or [job.job_id])
            case Stage.SUBMITTING:
                ledger.jobs.mark_unknown(job.job_id, job.nonce, "the worker died while submitting")
            case Stage.UNKNOWN if job.hint == f"task-{job.job_id}":
                ledger.jobs.accept(job.job_id, job.nonce, task_id=job.hint, first_poll_ms=0, begun_at_ms=0)
            case Stage.UNKNOWN if job.hint:
                ledger.jobs.drop_hint(job.job_id, job.nonce, job.hint)
            case Stage.UNKNOWN:
                self.resume(self._decide(job))
            case Stage.RUNNING:
                granted = granted_by(ledger.jobs.settle(job.job_id, job.nonce, success(job.task_id or ""), token=token))
                self.resume([] if granted is None else [job.job_id, *granted])
            case Stage.FOLLOWING:
                self.resume([job.job_id] if ledger.followers.conclude(job.job_id, job.leader or "") else [])
            case Stage.DELIVERED:
                ledger.jobs.mark_delivered(job.job_id)

    def _decide(self, job: JobFields) -> list[str]:
        if job.request.get("on_unknown") == "resubmit":
            return self.ledger.jobs.release(job.job_id, job.nonce, hint="") or []
        granted = granted_by(self.ledger.jobs.settle(job.job_id, job.nonce, UNKNOWN, hint=""))
        return [] if granted is None else [job.job_id, *granted]

    def drain(self, most_rounds: int = 40) -> None:
        """Let healthy workers go on until nothing is left; they must get there from any state."""
        for _ in range(most_rounds):
            if not self.state().has_work:
                return
            self.let_time_pass()
            self.open_gate()
            if self.redis.hexists(self.keys.account, "probe_at_ms"):
                self.redis.hset(self.keys.account, "probe_at_ms", 0)
            self.redis.hdel(self.keys.account, "tat_us")
            self.poll()
        raise AssertionError(f"work is left for ever: {self.state()}")


def granted_by(settled: Settled | None) -> Sequence[str] | None:
    """Return the jobs that got the slot of one that was settled; None if it was not."""
    return None if settled is None else settled.granted


def follower(record_id: str, *, leader: str, caller: str = "one", fingerprint: str = "") -> Follower:
    """Return one more caller of a job."""
    return Follower(record_id, record_id, leader, {"seen": True}, {"type": "animate"}, fingerprint, caller)


#: What fades by itself.
_FADING = {
    *("job", "failed", "dead", "tick", "durations", "counters", "samples", "billed", "spent", "request"),
    *("answered", "throttles"),
}


def leaks(redis: Redis, allowed: Iterable[str] = ()) -> list[str]:
    """Return the keys of any account that should not outlive their work.

    What has a time to live may stay for so long: records of jobs, the request budget, and what operators look at. The
    account's limits, its balance and its bounded events stay, and so does a `wake` that no worker has read.

    Args:
        redis: The server.
        allowed: What a test leaves on purpose: `waiting`, `slots`, `due`, `account` (a closed gate) or `job`.
    """
    found = []
    for name in key_names(redis, "wanimate:{*"):
        kind = name.split("}:", 1)[1].split(":", 1)[0]
        is_open_gate = kind == "account" and not CLOSED_GATE & set(redis.hkeys(name))
        fades = kind in _FADING and redis.ttl(name) != -1
        if not (is_open_gate or fades or kind in {"balance", "wake", "events", *allowed}):
            found.append(name)
    return found
