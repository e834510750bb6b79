"""Everything that can be wrong with an account: one list of rules over a snapshot.

The page, its JSON, the metrics, `top`, `doctor` and the line below waiting jobs show it. The alerts in
`deploy/monitoring/rules` have the same conditions in PromQL; a test compares their thresholds with those here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from wanimate.contract.cost import format_usd
from wanimate.text import counted, format_duration

from ..ledger import BreakerFor, SuspendedFor
from .finding import Blocker, BlockReason, Finding, Severity, fail, info, ok, warn
from .formatting import format_seconds, number, span
from .outputs import find_copies, find_webhooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .snapshot import Snapshot

#: Without a poll for this long, or for so many ticks of beat if that is longer, beat or the workers are missing.
MAX_SILENCE_SECONDS: Final = 30.0
MAX_SILENT_TICKS: Final = 10
#: If a job is overdue by more, workers do not keep up.
MAX_DUE_LAG_SECONDS: Final = 30.0
#: Fewer failed requests in a row are normal; after this time since the last one the problem may be over.
MIN_FAILURES: Final = 3
MAX_FAILURE_AGE_MS: Final = 600_000
#: The share of requests that the vendor may answer with 429.
MAX_THROTTLED_RATIO: Final = 0.01
#: Workers read this many messages within a few seconds.
MAX_QUEUE_MESSAGES: Final = 1000
#: A longer wait is normal if there are that many jobs.
MAX_WAIT_SECONDS: Final = 3600.0
#: A small request budget reads the balance each ten minutes.
MAX_BALANCE_AGE_SECONDS: Final = 1200.0


def is_polling(now: Snapshot) -> bool:
    """Whether polls run; if not, beat or the workers are missing, and no slot is freed."""
    longest = max(MAX_SILENCE_SECONDS, MAX_SILENT_TICKS * now.poll_tick_seconds)
    return now.beat_age_seconds is not None and now.beat_age_seconds <= longest


def is_balance_low(now: Snapshot) -> bool:
    """Whether the balance is below the threshold that warns."""
    left, warn_below = now.balance.left_micro_usd, now.limits.balance_warn_micro_usd
    return left is not None and warn_below is not None and left < warn_below


def is_balance_old(now: Snapshot) -> bool:
    """Whether the last balance is old."""
    return (now.balance_age_seconds or 0) > MAX_BALANCE_AGE_SECONDS


def _balance(now: Snapshot) -> Iterator[Finding]:
    balance, age = now.balance, now.balance_age_seconds
    page, add = "docs/runbooks.md#balance-low", "add credit at the vendor"
    left = format_usd(balance.left_micro_usd or 0)
    if now.gate.is_balance_low:
        hold = format_usd(now.limits.balance_hold_micro_usd or 0)
        yield Blocker(
            "balance",
            f"the balance of {left} is too low for the next job: no submissions below {hold}",
            f"{add}: submissions resume within about a minute; or lower the threshold",
            page=page,
            command="wanimate-worker limits --balance-hold-usd USD",
            severity=Severity.FAIL,
            reason=BlockReason.BALANCE,
        )
    elif balance.micro_usd is not None and balance.micro_usd <= 0:
        yield fail("balance", f"the balance is {left}: the account has no credit", add, page=page)
    elif is_balance_low(now):
        text = f"the balance is {left}, below {format_usd(now.limits.balance_warn_micro_usd or 0)}"
        yield warn("balance", text, f"{add} before submissions stop", page=page)
    if now.has_balance_threshold and (age is None or (balance.why and is_balance_old(now))):
        last = "" if age is None else f" for {format_seconds(age)}"
        yield warn(
            "balance",
            f"the balance could not be read{last}: {balance.why or 'no worker has read it yet'}",
            "the thresholds use the last known balance, if any; check whether the key may read it, or remove them",
            page=page,
            command="wanimate-worker limits --balance-hold-usd none --balance-warn-usd none",
        )
    if balance.micro_usd is None:
        yield ok("balance", f"unknown: {balance.why or 'no worker has read it'}")
    else:
        yield ok("balance", f"{format_usd(balance.micro_usd)}, read {format_seconds(age or 0)} ago")


def _queues(now: Snapshot) -> Iterator[Finding]:
    for queue, length in now.queues.items():
        if length > MAX_QUEUE_MESSAGES:
            text = f"{length:,} messages in the queue {queue} wait for a worker"
            advice = "start more workers unless the number falls"
            yield warn("queues", text, advice, page="docs/runbooks.md#queue-behind")
    yield ok("queues", ", ".join(f"{length:,} messages in {queue}" for queue, length in now.queues.items()))


def _beat(now: Snapshot) -> Iterator[Finding]:
    age = now.beat_age_seconds
    if not is_polling(now):
        yield fail(
            "beat",
            f"no poll {'in the last day' if age is None else f'for {format_seconds(age)}'}",
            "no status requests are sent, so no slot is freed. Start beat; if it runs, check its log and that workers "
            "answer",
            page="docs/runbooks.md#beat-dead",
            command="celery -A wanimate_worker beat",
        )
    yield ok("beat", f"the last poll was {span(age)} ago")


def _gate(now: Snapshot) -> Iterator[Finding]:
    yield from _blockers(now)
    gate, slots = now.gate, now.slots
    if gate.failures >= MIN_FAILURES and now.at_ms - gate.closed_until_ms <= MAX_FAILURE_AGE_MS:
        yield warn(
            "gate",
            f"the last {gate.failures} requests to the vendor failed: {gate.reason}",
            "the workers retry and no job is lost. Check that the vendor is up, the network, the proxy and "
            "WANIMATE_API_BASE_URL",
            page="docs/runbooks.md#back-off-long",
        )
    if slots.effective_cap < slots.cap:
        yield warn(
            "gate",
            f"a 429 lowered the cap to {number(slots.effective_cap)} of {number(slots.cap)} slots",
            "the vendor counts more tasks than Wanimate: check who else uses the key. The cap returns within ten "
            "minutes",
            page="docs/runbooks.md#throttled",
        )
    yield ok("gate", "no submissions: see balance" if gate.is_balance_low else "nothing blocks submissions")


#: What stops submissions: for a time or by an operator; and until an operator acts.
_blocker: Final = partial(Blocker, "gate", severity=Severity.WARN, page="docs/runbooks.md#back-off-long")
_failing_blocker: Final = partial(_blocker, severity=Severity.FAIL)


def _blockers(now: Snapshot) -> Iterator[Blocker]:
    gate = now.gate
    if gate.suspended is not None:
        is_poor = gate.suspended_for is SuspendedFor.CREDIT
        yield _failing_blocker(
            f"account suspended, {'no credit' if is_poor else 'the vendor refuses the key'}: {gate.suspended}",
            f"{'add credit' if is_poor else 'correct the key'}; submissions then resume automatically",
            page="docs/runbooks.md#key-refused",
            reason=BlockReason.SUSPENDED,
        )
    if ms := _left_ms(now, gate.unsafe_until_ms):
        yield _failing_blocker(
            f"submissions paused for {format_duration(ms)} ({gate.unsafe})",
            "they are retried automatically. See `replicas` in `wanimate-worker doctor`",
            page="docs/runbooks.md#intents-unsafe",
            reason=BlockReason.UNSAFE,
            for_seconds=ms / 1000,
        )
    if gate.paused is not None:
        yield _blocker(
            f"submissions paused by an operator: {gate.paused}",
            "resume them when the reason is gone",
            page="docs/operations.md#pause",
            command="wanimate-worker resume",
            reason=BlockReason.PAUSED,
        )
    if ms := _left_ms(now, gate.limited_until_ms):
        yield _blocker(
            f"the daily limit is reached; submissions resume in {format_duration(ms)}",
            "they resume at 00:00 UTC, or at once with a higher limit (in dollars: --daily-billed-usd USD)",
            page="docs/runbooks.md#daily-limit-reached",
            command="wanimate-worker limits --daily-billed-seconds SECONDS",
            reason=BlockReason.DAILY_LIMIT,
            for_seconds=ms / 1000,
        )
    if ms := _left_ms(now, gate.closed_until_ms):
        text = f"submissions paused for {format_duration(ms)} ({gate.reason})"
        yield _blocker(text, "they resume automatically", reason=BlockReason.BACK_OFF, for_seconds=ms / 1000)
    if gate.breaker_next_ms is not None:
        yield from _probe(now, _left_ms(now, gate.breaker_next_ms))


def _probe(now: Snapshot, ms: int) -> Iterator[Blocker]:
    gate, page = now.gate, "docs/runbooks.md#probe-long"
    if gate.breaker_for is BreakerFor.REFUSED:
        yield _failing_blocker(
            f"circuit breaker half-open, one probe submission at a time: the last {gate.refused_in_a_row} jobs were "
            f"refused for no reason of their own ({gate.refused_why})",
            "check the key's permissions, the model, WANIMATE_API_BASE_URL, firewalls and proxies; submissions resume "
            "once a probe is accepted",
            page="docs/runbooks.md#submissions-refused",
            reason=BlockReason.REFUSED,
            for_seconds=ms / 1000,
        )
    elif gate.breaker_for is BreakerFor.LOST:
        text = (
            "circuit breaker half-open, one probe submission at a time: the answers to the last "
            f"{gate.lost_in_a_row} submissions were lost"
        )
        advice = "check that the vendor is up; submissions resume once a probe is answered"
        yield _blocker(text, advice, page=page, reason=BlockReason.PROBE, for_seconds=ms / 1000)
    elif ms:
        text = "circuit breaker half-open: one probe submission before the others, after the account was suspended"
        advice = "submissions resume automatically once the probe is accepted"
        yield _blocker(text, advice, page=page, reason=BlockReason.PROBE, for_seconds=ms / 1000)


def _left_ms(now: Snapshot, until_ms: int) -> int:
    return max(0, until_ms - now.at_ms)


def _late(now: Snapshot) -> Iterator[Finding]:
    # While the account is suspended or the vendor throttles, no job is polled: more workers would not help.
    may_poll = now.gate.suspended is None and now.gate.closed_until_ms <= now.at_ms
    if now.due_lag_seconds > MAX_DUE_LAG_SECONDS and may_poll and is_polling(now):
        yield fail(
            "late jobs",
            f"a job is overdue by {format_seconds(now.due_lag_seconds)}",
            "workers do not keep up: start more, or check what they wait for",
            page="docs/runbooks.md#due-lag-high",
        )
    lag_seconds = now.due_lag_seconds
    yield ok("late jobs", f"none overdue by more than {span(lag_seconds)}" if lag_seconds else "none")


def _throttling(now: Snapshot) -> Iterator[Finding]:
    recent, fitting = now.recent, now.fitting
    counted = "" if recent is None else f"{recent.counters.throttled} in the last {format_seconds(recent.over_seconds)}"
    if fitting is not None:
        text = ", ".join(filter(None, (counted, fitting.text)))
        yield warn("429 answers", text, fitting.advice, page="docs/plans.md", command=fitting.command)
    elif recent is not None and recent.throttled_ratio > MAX_THROTTLED_RATIO:
        yield warn(
            "429 answers",
            f"the vendor answered 429 to {100 * recent.throttled_ratio:.1f} % of the requests: {counted}",
            "the jobs are requeued and none is lost. If others use the same key, lower the limits by their share",
            page="docs/runbooks.md#throttled",
            command="wanimate-worker limits --max-in-flight N --requests-per-minute N",
        )
    yield ok("429 answers", counted or "no request yet")


def _slots(now: Snapshot) -> Iterator[Finding]:
    lost = now.slots.without_record
    if lost:
        yield warn(
            "slots",
            f"{counted(lost, 'slot')} without a record: {_named(now.lost_ids, lost)}",
            "the records were evicted or deleted; the slots are freed at their next check. Check maxmemory-policy",
            page="docs/runbooks.md#slots-leaked",
        )
    yield ok("slots", f"{now.slots.used} of {now.slots.cap} in use")


def _unknown(now: Snapshot) -> Iterator[Finding]:
    if now.unknown:
        yield warn(
            "unknown submissions",
            f"{counted(now.unknown, 'submission')} with a lost answer, the oldest for "
            f"{format_seconds(now.unknown_oldest_seconds or 0)}: {_named(now.unknown_ids, now.unknown)}",
            "the vendor may have accepted and billed each. If you find its task at the vendor, attach it with "
            "`wanimate-worker resolve ID --task-id T`; if not, `wanimate-worker retry ID`; otherwise `on_unknown` "
            f"applies after {format_seconds(now.unknown_after_seconds)}",
            page="docs/runbooks.md#unknown-jobs",
            command="wanimate-worker jobs --state unknown",
        )
    yield ok("unknown submissions", "none")


def _waiting(now: Snapshot) -> Iterator[Finding]:
    oldest = max((band.oldest_seconds or 0 for band in now.bands), default=0)
    if oldest > MAX_WAIT_SECONDS:
        yield info(
            "waiting",
            f"a job has waited for {format_seconds(oldest)}",
            "normal while there are more jobs than slots; otherwise check what blocks submissions",
            page="docs/runbooks.md#oldest-waiting",
            command="wanimate-worker jobs --state waiting",
        )
    yield ok(
        "waiting",
        f"{counted(now.waiting, 'job')}, {now.parked} of them parked, the oldest for {span(oldest)}"
        if now.waiting
        else "none",
    )


def _dead_letters(now: Snapshot) -> Iterator[Finding]:
    if now.dead_letters:
        yield warn(
            "dead letters",
            f"{counted(now.dead_letters, 'dead letter')}: messages that no worker could use",
            "find their sender; those of a newer library can be replayed after the workers are upgraded",
            page="docs/runbooks.md#dead-letters",
            command="wanimate-worker dead",
        )
    yield ok("dead letters", "none")


def _failed(now: Snapshot) -> Iterator[Finding]:
    if now.failed:
        yield info(
            "failed jobs",
            f"{counted(now.failed, 'failed job')} kept",
            "see why with `wanimate-worker show ID`; `wanimate-worker retry ID` is billed again",
            page="docs/operations.md#retry",
            command="wanimate-worker jobs --state failed",
        )
    yield ok("failed jobs", "none")


def _named(job_ids: tuple[str, ...], count: int) -> str:
    return f"{', '.join(job_ids)}{' …' if count > len(job_ids) else ''}"


#: In an order in which a cause comes before its effects. Each rule ends with its finding if all is well.
RULES: Final[tuple[Callable[[Snapshot], Iterator[Finding]], ...]] = (
    *(_balance, _queues, _beat, _gate, _throttling, _late, _slots, _unknown, _waiting),
    *(find_copies, find_webhooks, _dead_letters, _failed),
)


def findings_of(now: Snapshot) -> list[Finding]:
    """Return the findings of every check: its problems, or that all is well."""
    found: list[Finding] = []
    for rule in RULES:
        *wrong, well = rule(now)
        found += wrong or [well]
    return found


def problems_of(now: Snapshot) -> list[Finding]:
    """Return the problems for an operator, the worst first."""
    found = [finding for finding in findings_of(now) if finding.severity > Severity.OK]
    return sorted(found, key=lambda finding: -finding.severity)


def blockers_of(now: Snapshot) -> list[Blocker]:
    """Return why no jobs are submitted, the worst first; empty while they are."""
    return [problem for problem in problems_of(now) if isinstance(problem, Blocker)]
