"""What a snapshot tells about an account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from wanimate import Client, Settings
from wanimate.contract import Keys, Outcome, Result
from wanimate.errors import GenerationFailed, JobCancelled
from wanimate_worker.health.exports import to_json
from wanimate_worker.health.finding import BlockReason, Severity
from wanimate_worker.health.rules import blockers_of, findings_of, is_polling, problems_of
from wanimate_worker.health.snapshot import Days
from wanimate_worker.health.verdict import is_submitting, needs_operator, state_of, why_waiting
from wanimate_worker.health.work import check_jobs
from wanimate_worker.ledger import BalanceReading, Blocked, Observation, SuspendedFor

if TYPE_CHECKING:
    from collections.abc import Callable

    from wanimate_worker.health.finding import Finding

    from .conftest import Account

KEYS = Keys("default")
LATER_MS: Final = 99_999_999_999_999
DONE = Outcome.success(Result(urls=("https://example.com/v.mp4",), task_id="t"))
FAILED = Outcome.failure(GenerationFailed("no", "GENERATION_FAILED", "t"))


def commands(account: Account) -> list[str]:
    return [problem.command for problem in problems_of(account.reader.read())]


def finding(account: Account, check: str) -> Finding:
    return next(finding for finding in findings_of(account.reader.read()) if finding.check == check)


def test_an_account_that_was_never_used_reads_as_empty(account: Account) -> None:
    now = account.reader.read()
    assert (now.slots.used, now.slots.effective_cap, now.waiting, now.unknown) == (0, 3, 0, 0)
    assert blockers_of(now) == []
    assert now.recent is None
    assert now.beat_age_seconds is None
    assert (now.billed, now.money, now.labels) == (Days(0.0, None, {}), None, ())
    assert (now.balance, now.balance_age_seconds, now.has_balance_threshold) == (BalanceReading(), None, False)
    assert [band.priorities for band in now.bands] == ["0-2", "3-5", "6-8", "9"]
    assert to_json(now)["waiting"]["bands"][0] == {
        "priorities": "0-2",
        "waiting": 0,
        "oldest_seconds": None,
        "eta_seconds": None,
    }


def test_parked_jobs_are_counted_among_the_waiting_and_told_apart(account: Account) -> None:
    account.tick()
    account.admit("a")
    assert account.ledger.jobs.release("a", account.begin("a").nonce, delay_ms=60_000) == []
    now = account.reader.read()
    assert (now.waiting, now.parked, sum(band.waiting for band in now.bands)) == (1, 1, 0)
    assert why_waiting(now) == "1 of them waits for the next attempt."
    assert to_json(now)["waiting"]["parked"] == 1


def test_waiting_jobs_are_counted_by_band_with_the_age_of_the_next_and_the_time_until_the_last_is_done(
    account: Account,
) -> None:
    account.tick()
    for job_id in "abc":
        account.start(job_id)
    account.admit("x", "y", priority=4)
    account.admit("z", priority=9)
    account.redis.zincrby(KEYS.waiting, -90, "x")
    _, normal, low, lowest = account.reader.read().bands
    assert (normal.waiting, low.waiting, lowest.waiting) == (2, 0, 1)
    assert normal.oldest_seconds == pytest.approx(90, abs=5)
    assert lowest.oldest_seconds == pytest.approx(0, abs=5)
    assert low.oldest_seconds is low.eta_seconds is None
    # Three slots: two waiting jobs need two thirds of a task's time until they start, and one until they end.
    mean = account.reader.read().mean_seconds
    assert normal.eta_seconds == pytest.approx(mean * (1 + 2 / 3))
    assert lowest.eta_seconds == pytest.approx(mean * (1 + 3 / 3))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("suspended", "401"),
        ("paused", "maintenance"),
        ("limited_until_ms", "99999999999999"),
        ("closed_until_ms", "99999999999999"),
        ("unsafe_until_ms", "99999999999999"),
        ("breaker_next_ms", "1"),
    ],
)
def test_while_nothing_is_sent_no_end_is_promised(account: Account, field: str, value: str) -> None:
    account.tick()
    account.start("a")
    account.admit("b", "c", "d")
    assert account.reader.read().bands[0].eta_seconds is not None
    account.redis.hset(KEYS.account, field, value)
    now = account.reader.read()
    assert [band.eta_seconds for band in now.bands] == [None] * len(now.bands)
    assert (why_waiting(now) or "").endswith("ETA unavailable until submissions resume.")


@pytest.mark.parametrize(
    ("gate", "reason"),
    [
        ({"suspended": "401"}, BlockReason.SUSPENDED),
        ({"paused": "maintenance"}, BlockReason.PAUSED),
        ({"limited_until_ms": LATER_MS}, BlockReason.DAILY_LIMIT),
        ({"low_balance_need": 0}, BlockReason.BALANCE),
        ({"closed_until_ms": LATER_MS}, BlockReason.BACK_OFF),
        ({"unsafe_until_ms": LATER_MS}, BlockReason.UNSAFE),
        ({"breaker_next_ms": 1, "breaker_for": "refused"}, BlockReason.REFUSED),
        ({"breaker_next_ms": 1, "breaker_for": "lost"}, BlockReason.PROBE),
        ({"breaker_next_ms": LATER_MS, "breaker_for": "suspended"}, BlockReason.PROBE),
        ({"breaker_next_ms": 1, "breaker_for": "suspended"}, None),
        ({"closed_until_ms": 1, "unsafe_until_ms": 1, "limited_until_ms": 1}, None),
    ],
)
def test_producers_are_told_the_same_reason(account: Account, gate: dict[str, Any], reason: BlockReason | None) -> None:
    account.redis.hset(KEYS.account, mapping=gate)
    account.admit("a", "b", "c", "d")
    assert [blocker.reason for blocker in blockers_of(account.reader.read())] == [reason] * bool(reason)
    with Client(Settings(_env_file=None, redis_url=account.settings.redis_url)) as client:
        assert client.job("d").status().blocked_by == reason


def test_the_effective_cap_grows_back_as_the_scripts_let_it(account: Account) -> None:
    account.redis.hset(KEYS.account, mapping={"cap_low": 1, "cap_low_at_ms": account.ledger.records.now_ms()})
    assert account.reader.read().slots.effective_cap == 1
    account.redis.hset(KEYS.account, "cap_low_at_ms", account.ledger.records.now_ms() - 201_000)
    assert account.reader.read().slots.effective_cap == 2
    account.redis.hset(KEYS.account, "cap_low_at_ms", account.ledger.records.now_ms() - 600_000)
    assert account.reader.read().slots.effective_cap == 3


def test_slots_whose_record_is_gone_are_counted(account: Account) -> None:
    account.start("a")
    account.start("b")
    account.redis.delete(KEYS.job("a"))
    assert account.reader.read().slots.without_record == 1
    assert "wanimate-worker doctor" in commands(account)


def test_the_pace_and_the_last_hour_are_told_from_copies_of_the_counts(account: Account) -> None:
    account.tick()
    [stored] = account.redis.zrange(KEYS.samples, 0, -1)
    earlier_ms = account.ledger.records.now_ms() - 30_000
    account.redis.delete(KEYS.samples)
    account.redis.zadd(KEYS.samples, {stored.replace(stored.split()[0], str(earlier_ms), 1): earlier_ms})
    for job_id, outcome in (("a", DONE), ("b", DONE), ("c", FAILED)):
        submit = account.start(job_id)
        seen = Observation("animate:480p", 40.0, account.ledger.records.now_ms() - 700)
        account.ledger.jobs.settle(job_id, submit.nonce, outcome, observed=seen)
    assert account.ledger.polls.permit(3) > 0
    now = account.reader.read()
    recent = now.recent
    assert recent is not None
    assert recent.over_seconds == pytest.approx(30, abs=5)
    assert recent.counters.ended == {"succeeded": 2, "failed": 1, "cancelled": 0}
    assert recent.ended_per_minute == pytest.approx(6, rel=0.2)
    assert recent.task_mean_seconds == 40.0
    assert recent.counters.lag.mean_seconds == pytest.approx(0.7, abs=0.5)
    assert now.budget.submits_per_minute == pytest.approx(6, rel=0.2)
    assert now.budget.polls_per_minute == pytest.approx(2 * now.total.polls, rel=0.2)
    assert now.budget.used_ratio == pytest.approx((6 + 2 * now.total.polls) / 600, rel=0.2)


def test_cost_is_told_by_day_and_by_label_the_largest_first(account: Account) -> None:
    account.start("a", 10, "team=red", "customer=acme")
    account.start("b", 30, "team=blue")
    today = account.ledger.records.now_ms() // 86_400_000
    account.redis.hset(KEYS.billed, mapping={str(today - 1): 5_000, f"{today - 1} team=red": 5_000, f"{today} ": 7_000})
    now = account.reader.read()
    assert now.money is None
    cost = now.billed
    assert cost.today == 40
    assert [(row.text, row.seconds) for row in now.labels] == [
        ("team=blue", 30.0),
        ("customer=acme", 10.0),
        ("team=red", 10.0),
        ("other labels", 7.0),
    ]
    assert list(cost.by_day.values()) == [40.0, 5.0]


def test_every_reason_why_nothing_is_sent_is_told_those_that_need_somebody_first(account: Account) -> None:
    future = account.ledger.records.now_ms() + 3_600_000
    account.ledger.gate.suspend("401")
    account.ledger.gate.pause("maintenance")
    account.redis.hset(
        KEYS.account,
        mapping={
            "closed_until_ms": future,
            "reason": "throttled",
            "unsafe": "no replica",
            "unsafe_until_ms": future,
            "limited_until_ms": future,
            "low_balance_need": 0,
            "breaker_next_ms": future,
            "lost_in_a_row": 3,
        },
    )
    now = account.reader.read()
    assert {blocker.reason for blocker in blockers_of(now)} == set(BlockReason) - {BlockReason.REFUSED}
    why = {"breaker_for": "refused", "refused_in_a_row": 3, "refused_why": "refused: 403 Forbidden"}
    account.redis.hset(KEYS.account, mapping=why)
    now = account.reader.read()
    assert {blocker.reason for blocker in blockers_of(now)} == set(BlockReason) - {BlockReason.PROBE}
    severities = [problem.severity for problem in problems_of(now)]
    assert severities == sorted(severities, reverse=True)
    assert commands(account).count("wanimate-worker resume") == 1


def test_jobs_that_are_refused_for_no_reason_of_their_own_need_a_person(account: Account) -> None:
    account.tick()
    account.admit("a", "b", "c", "d")
    for job_id in ("a", "b", "c"):
        account.ledger.jobs.refuse(job_id, account.begin(job_id).nonce, "refused: 403 Forbidden")
    now = account.reader.read()
    assert state_of(now) == "circuit breaker half-open: jobs refused"
    assert (needs_operator(now), now.waiting, now.parked) == (True, 3, 3)
    assert "the last 3 jobs were refused" in blockers_of(now)[0].text
    assert "(refused: 403 Forbidden)" in blockers_of(now)[0].text
    gate = finding(account, "gate")
    assert gate.severity is Severity.FAIL


def test_a_job_that_nothing_can_be_compared_with_is_named_by_doctor(account: Account) -> None:
    account.admit("a")
    for _ in range(3):
        account.ledger.jobs.unpark("a")
        account.ledger.jobs.refuse("a", account.begin("a").nonce, "refused: 403 Forbidden")
    [stuck] = [each for each in check_jobs(account.ledger) if each.check == "repeated attempts"]
    assert stuck.severity is Severity.WARN
    assert stuck.text == "job a was refused 3 times (refused: 403 Forbidden)"


def test_an_account_that_was_paused_stops_nothing_until_one_is_tried(account: Account) -> None:
    account.ledger.gate.suspend("402", SuspendedFor.CREDIT)
    assert "no credit: 402" in blockers_of(account.reader.read())[0].text
    account.ledger.gate.unsuspend()
    assert blockers_of(account.reader.read()) == []
    account.admit("a")
    account.begin("a")
    [blocker] = blockers_of(account.reader.read())
    assert (blocker.reason, blocker.severity) == (BlockReason.PROBE, Severity.WARN)
    assert "one probe submission before the others" in blocker.text


def test_a_gateway_that_answers_for_the_vendor_is_named_also_between_two_back_offs(account: Account) -> None:
    for _ in range(3):
        # When the last request was sent makes each of them new.
        account.ledger.gate.close("not sent: HTTP 400, but not from the vendor's API", sent_at_ms=2**50)
    account.redis.hset(KEYS.account, "closed_until_ms", account.ledger.records.now_ms() - 1)
    now = account.reader.read()
    assert blockers_of(now) == []
    assert [problem.text for problem in problems_of(now) if "HTTP 400" in problem.text]
    gate = finding(account, "gate")
    assert gate.severity is Severity.WARN
    assert "HTTP 400" in gate.text


def test_a_job_that_does_not_get_through_is_named_by_doctor_with_the_reason(
    open_account: Callable[..., Account],
) -> None:
    account = open_account(requests_per_minute=10_000)
    account.admit("a")
    for tries_left in reversed(range(10)):
        submit = account.begin("a")
        if not tries_left:
            account.ledger.gate.pause("so that it waits")
        account.ledger.jobs.release("a", submit.nonce, "not sent: HTTP 413, but not from the vendor's API")
    [stuck] = [each for each in check_jobs(account.ledger) if each.check == "repeated attempts"]
    assert stuck.severity is Severity.WARN
    assert "job a had 10 submission attempts" in stuck.text
    assert "HTTP 413" in stuck.text


def test_the_days_limit_is_told_with_what_to_do(open_account: Callable[..., Account]) -> None:
    account = open_account(daily_billed_seconds=120)
    account.start("a", 100)
    account.admit("b")
    assert account.ledger.jobs.begin("b") == Blocked()
    [blocker] = blockers_of(account.reader.read())
    assert blocker.reason is BlockReason.DAILY_LIMIT
    assert "wanimate-worker limits --daily-billed-seconds" in blocker.command


def test_each_problem_names_the_command_that_answers_it(account: Account) -> None:
    account.tick()
    assert commands(account) == []
    account.start("a")
    account.admit("b")
    account.ledger.jobs.mark_unknown("b", account.begin("b").nonce, "timeout")
    account.ledger.dead_letters.add({"reason": "unreadable"})
    submit = account.start("c")
    account.ledger.jobs.settle("c", submit.nonce, FAILED)
    assert commands(account) == [
        "wanimate-worker jobs --state unknown",
        "wanimate-worker dead",
        "wanimate-worker jobs --state failed",
    ]
    account.redis.zadd(KEYS.due, {"a": account.ledger.records.now_ms() - 60_000})
    [late, *_] = problems_of(account.reader.read())
    assert (late.command, late.severity) == ("wanimate-worker doctor", Severity.FAIL)
    account.redis.delete(KEYS.tick)
    assert commands(account)[0] == "celery -A wanimate_worker beat"


def test_without_polls_nothing_is_said_to_be_submitted_and_no_time_is_promised(account: Account) -> None:
    account.tick()
    account.start("a")
    account.admit("b", "c", "d", priority=4)
    now = account.reader.read()
    assert (state_of(now), is_submitting(now), needs_operator(now)) == ("submitting", True, False)
    assert why_waiting(now) == "All 3 slots are in use: the next job is submitted when a task ends."
    assert now.bands[1].eta_seconds is not None

    account.redis.decrby(KEYS.tick, 31_000)
    now = account.reader.read()
    facts = to_json(now)
    assert (facts["state"], facts["is_submitting"], facts["is_polling"], facts["blockers"]) == (
        "no polls: beat or workers are missing",
        False,
        False,
        [],
    )
    assert needs_operator(now)
    assert now.bands[1].eta_seconds is None
    assert (why_waiting(now) or "").startswith("No job is submitted now (no polls")
    account.ledger.gate.pause("maintenance")
    assert state_of(account.reader.read()).startswith("no polls"), "a hold does not hide it"


def test_a_slow_beat_is_missed_later(open_account: Callable[..., Account]) -> None:
    account = open_account(poll_tick_seconds=10)
    account.tick()
    account.redis.decrby(KEYS.tick, 60_000)
    assert is_polling(account.reader.read())
    account.redis.decrby(KEYS.tick, 60_000)
    assert not is_polling(account.reader.read())


def test_a_vendor_that_throttles_is_a_problem_from_one_request_in_a_hundred(account: Account) -> None:
    account.tick()
    account.redis.hset(KEYS.counters, mapping={"submits": 40, "polls": 159, "throttled": 1})
    assert commands(account) == []
    assert finding(account, "429 answers").severity is Severity.OK
    account.redis.hincrby(KEYS.counters, "throttled", 2)
    [throttled] = problems_of(account.reader.read())
    assert throttled.text.startswith("the vendor answered 429 to 1.5 % of the requests: 3 in the last ")
    assert finding(account, "429 answers").severity is Severity.WARN


def test_however_many_readers_there_are_redis_is_asked_once_a_second(account: Account) -> None:
    first = account.reader.snapshot()
    account.start("a")
    assert account.reader.snapshot() is first
    assert account.reader.read().slots.used == 1


def test_a_snapshot_costs_the_same_however_many_jobs_wait(account: Account) -> None:
    def commands_of_one() -> int:
        before = account.redis.info("stats")["total_commands_processed"]
        account.reader.read()
        return int(account.redis.info("stats")["total_commands_processed"]) - before

    account.ledger.gate.pause("no slots yet")
    account.admit("a")
    few = commands_of_one()
    account.redis.zadd(KEYS.waiting, {f"w{number}": number for number in range(50_000)})
    assert commands_of_one() == few <= 64


def test_a_cancelled_job_is_counted_as_such(account: Account) -> None:
    account.ledger.gate.pause("x")
    account.admit("a")
    account.ledger.jobs.cancel("a", Outcome.failure(JobCancelled("no")))
    assert account.reader.read().total.ended["cancelled"] == 1


def test_lost_submissions_are_named_with_what_to_do(open_account: Callable[..., Account]) -> None:
    account = open_account(max_in_flight=10, requests_per_minute=10_000)
    account.redis.flushdb()
    account.ledger.limits.fill(account.settings.account_limits())
    assert finding(account, "unknown submissions").severity is Severity.OK
    for number in range(7):
        account.admit(f"j{number}")
        # Not one at a time, although answers are lost.
        account.redis.hdel(KEYS.account, "lost_in_a_row")
        account.ledger.jobs.mark_unknown(f"j{number}", account.begin(f"j{number}").nonce, "timeout")
    found = finding(account, "unknown submissions")
    assert found.severity is Severity.WARN
    assert found.text.startswith("7 submissions with a lost answer, the oldest for ")
    assert {*found.text.rpartition(": ")[2].removesuffix(" …").split(", ")} <= {f"j{number}" for number in range(7)}
    assert found.text.endswith(" …"), "not all of them"
    assert "resolve" in found.advice
