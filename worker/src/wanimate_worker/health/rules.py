"""Everything that can be wrong with an account: one list of rules over a snapshot, which every view shows.

The page, its JSON, the metrics, `top`, `doctor` and the line below waiting jobs are views of it. The alerts of
`deploy/monitoring/rules` state the same conditions in PromQL; a test compares their thresholds with those here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wanimate.contract.cost import format_usd

from ..ledger import BreakerFor, SuspendedFor
from .finding import DOCTOR, Blocker, BlockReason, Finding, Severity, fail, info, ok, warn
from .formatting import format_duration, format_seconds, number, plural, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .snapshot import Balance, Snapshot

#: Without a poll for this long, or for so many ticks of beat if that is longer, beat or the workers are missing.
MAX_SILENCE_SECONDS: Final = 30.0
MAX_SILENT_TICKS: Final = 10
#: A job that is due for longer means that workers do not keep up.
MAX_DUE_LAG_SECONDS: Final = 30.0
#: One request that fails is an accident, so many in a row are not; longer after the last of them it may be over.
MIN_FAILURES: Final = 3
MAX_FAILURE_AGE_MS: Final = 600_000
#: The share of requests that the vendor may answer with 429.
MAX_THROTTLED_RATIO: Final = 0.01
#: Workers empty a queue of so many messages within a few seconds.
MAX_QUEUE_MESSAGES: Final = 1000
#: Jobs may wait for longer, if there is that much work.
MAX_WAIT_SECONDS: Final = 3600.0
#: A small request budget reads the balance each ten minutes.
MAX_BALANCE_AGE_SECONDS: Final = 1200.0


def is_polling(now: Snapshot) -> bool:
    """Whether polls begin; if not, beat or the workers are missing, and no slot is freed."""
    longest = max(MAX_SILENCE_SECONDS, MAX_SILENT_TICKS * now.poll_tick_seconds)
    return now.beat_age_seconds is not None and now.beat_age_seconds <= longest


def is_balance_low(balance: Balance) -> bool:
    """Whether the balance is below the threshold that warns."""
    left, warn_below = balance.left_micro_usd, balance.warn_micro_usd
    return left is not None and warn_below is not None and left < warn_below


def is_balance_old(balance: Balance) -> bool:
    """Whether the vendor has not reported it for long."""
    return balance.age_seconds is not None and balance.age_seconds > MAX_BALANCE_AGE_SECONDS


def _balance(now: Snapshot) -> Iterator[Finding]:
    balance = now.balance
    left, page, add = format_usd(balance.left_micro_usd or 0), "docs/cost.md", "add credit at the vendor"
    if now.gate.is_balance_low:
        yield Blocker(
            "balance",
            Severity.FAIL,
            f"the balance of {left} is too low for the next job; submissions are held below "
            f"{format_usd(balance.hold_micro_usd or 0)}",
            f"{add}, and submissions resume within about a minute; or lower the threshold",
            page,
            "wanimate-worker limits --balance-hold-usd USD",
            reason=BlockReason.BALANCE,
        )
    elif balance.micro_usd is not None and balance.micro_usd <= 0:
        yield fail("balance", f"the balance is {left}: the account is empty", add, page)
    elif is_balance_low(balance):
        text = f"the balance is {left}, below {format_usd(balance.warn_micro_usd or 0)}"
        yield warn("balance", text, f"{add} before submissions are held or refused", page)
    if balance.has_threshold and (balance.micro_usd is None or (balance.why and is_balance_old(balance))):
        last = "" if balance.age_seconds is None else f" for {format_seconds(balance.age_seconds)}"
        yield warn(
            "balance",
            f"the balance could not be read{last}: {balance.why or 'no worker has read it yet'}",
            "its thresholds work by the last reading, if there is one; see whether the key may read it, or remove them",
            page,
            "wanimate-worker limits --balance-hold-usd none --balance-warn-usd none",
        )
    if balance.micro_usd is None:
        yield ok("balance", f"not known: {balance.why or 'no worker has read it'}")
    else:
        yield ok("balance", f"{format_usd(balance.micro_usd)}, read {format_seconds(balance.age_seconds or 0)} ago")


def _queues(now: Snapshot) -> Iterator[Finding]:
    for queue, length in now.queues.items():
        if length > MAX_QUEUE_MESSAGES:
            text = f"{length:,} messages in the queue {queue} wait for a worker"
            advice = "start more workers, if they do not become fewer"
            yield warn("queues", text, advice, "docs/runbooks/queue-behind.md")
    yield ok("queues", ", ".join(f"{length:,} messages in {queue}" for queue, length in now.queues.items()))


def _beat(now: Snapshot) -> Iterator[Finding]:
    age = now.beat_age_seconds
    if not is_polling(now):
        yield fail(
            "beat",
            f"no poll has begun {'in the last day' if age is None else f'for {format_seconds(age)}'}",
            "no worker asks the vendor whether a task has ended, so no slot is freed: start beat; if it runs, see its "
            "log and whether workers answer",
            "docs/operations/doctor.md",
            "celery -A wanimate_worker beat",
        )
    yield ok("beat", f"the last poll was {span(age)} ago")


def _gate(now: Snapshot) -> Iterator[Finding]:
    yield from _blockers(now)
    gate, slots = now.gate, now.slots
    if gate.failures >= MIN_FAILURES and now.at_ms - gate.closed_until_ms <= MAX_FAILURE_AGE_MS:
        yield warn(
            "gate",
            f"the last {gate.failures} requests to the vendor failed: {gate.reason}",
            "nothing is lost, and the workers retry. See whether the vendor is up; check the network, the proxy and "
            "WANIMATE_API_BASE_URL",
            "docs/runbooks/back-off-long.md",
        )
    if slots.effective_cap < slots.cap:
        yield warn(
            "gate",
            f"a 429 lowered the cap to {number(slots.effective_cap)} of {number(slots.cap)} slots",
            "the vendor counts more tasks than Wanimate does: see who else uses the key. The cap grows back within ten "
            "minutes",
            "docs/troubleshooting.md",
        )
    yield ok("gate", "closed by the balance" if gate.is_balance_low else "open")


def _block(
    now: Snapshot,
    reason: BlockReason,
    text: str,
    advice: str,
    page: str = "troubleshooting",
    command: str = DOCTOR,
    *,
    severity: Severity = Severity.WARN,
    until_ms: int | None = None,
) -> Blocker:
    left = None if until_ms is None else max(0, until_ms - now.at_ms) / 1000
    return Blocker("gate", severity, text, advice, f"docs/{page}.md", command, reason=reason, for_seconds=left)


def _blockers(now: Snapshot) -> Iterator[Blocker]:
    gate, fails = now.gate, Severity.FAIL
    if gate.suspended is not None:
        is_poor = gate.suspended_for is SuspendedFor.CREDIT
        text = f"paused, {'there is no credit' if is_poor else 'the vendor refuses the key'}: {gate.suspended}"
        advice = f"{'add credit' if is_poor else 'correct the key'}; submissions then resume without a command"
        yield _block(now, BlockReason.PAUSED, text, advice, severity=fails)
    if (until_ms := gate.unsafe_until_ms) > now.at_ms:
        text = f"nothing is submitted for {format_duration(until_ms - now.at_ms)}: {gate.unsafe}"
        advice = "see the finding `replicas` of doctor; jobs wait at their place, and the workers retry"
        yield _block(now, BlockReason.UNSAFE, text, advice, "redis", severity=fails, until_ms=until_ms)
    if gate.paused is not None:
        text, advice = f"held by an operator: {gate.paused}", "resume when submissions may go on"
        yield _block(now, BlockReason.HELD, text, advice, "operations/pause", "wanimate-worker resume")
    if (until_ms := gate.limited_until_ms) > now.at_ms:
        left = format_duration(until_ms - now.at_ms)
        text = f"the day's limit of what is billed is reached; nothing more is submitted for {left}"
        advice = (
            "submissions resume at 00:00 UTC, or at once with a higher limit; that in dollars is --daily-billed-usd USD"
        )
        command = "wanimate-worker limits --daily-billed-seconds SECONDS"
        yield _block(now, BlockReason.DAILY_LIMIT, text, advice, "cost", command, until_ms=until_ms)
    if (until_ms := gate.closed_until_ms) > now.at_ms:
        text = f"closed for {format_duration(until_ms - now.at_ms)}: {gate.reason}"
        yield _block(now, BlockReason.BACK_OFF, text, "wait: the workers retry", until_ms=until_ms)
    if gate.breaker_next_ms is not None:
        yield from _trial(now, gate.breaker_next_ms)


def _trial(now: Snapshot, next_ms: int) -> Iterator[Blocker]:
    gate, page = now.gate, "idempotency-and-billing"
    if gate.breaker_for is BreakerFor.REFUSED:
        text = (
            f"the last {gate.refused_in_a_row} jobs were refused without a reason that concerns any of them "
            f"({gate.refused_why}); one submission at a time is tried"
        )
        advice = (
            "check the key's permissions, the model, WANIMATE_API_BASE_URL, and firewalls and proxies on the way; "
            "submissions resume once one is accepted"
        )
        reason, fails = BlockReason.REFUSED, Severity.FAIL
        yield _block(now, reason, text, advice, "refusals", severity=fails, until_ms=next_ms)
    elif gate.breaker_for is BreakerFor.LOST:
        text = f"the answers to the last {gate.lost_in_a_row} submissions were lost; one at a time is tried"
        advice = "see whether the vendor is up; submissions resume once one is answered"
        yield _block(now, BlockReason.TRIAL, text, advice, page, until_ms=next_ms)
    elif next_ms > now.at_ms:
        text = "the account was paused; one submission is tried before the others"
        advice = "wait: submissions resume once one is accepted"
        yield _block(now, BlockReason.TRIAL, text, advice, page, until_ms=next_ms)


def _late(now: Snapshot) -> Iterator[Finding]:
    # While the vendor refuses the key, or throttles, no job is polled, and more workers would change nothing.
    may_poll = now.gate.suspended is None and now.gate.closed_until_ms <= now.at_ms
    if now.due_lag_seconds > MAX_DUE_LAG_SECONDS and may_poll and is_polling(now):
        yield fail(
            "late jobs",
            f"a job has been due for {format_seconds(now.due_lag_seconds)}",
            "workers do not keep up: start more of them, or see what they wait for",
            "docs/operations/doctor.md",
        )
    yield ok("late jobs", f"none by more than {span(now.due_lag_seconds)}")


def _throttling(now: Snapshot) -> Iterator[Finding]:
    recent, fitting = now.recent, now.fitting
    counted = "" if recent is None else f"{recent.tally.throttled} in the last {format_seconds(recent.over_seconds)}"
    if fitting is not None:
        text = ", ".join(filter(None, (counted, fitting.text)))
        yield warn("429 answers", text, fitting.advice, "docs/plans.md", fitting.command)
    elif recent is not None and recent.throttled_ratio > MAX_THROTTLED_RATIO:
        yield warn(
            "429 answers",
            f"the vendor answered 429 to {100 * recent.throttled_ratio:.1f} % of the requests: {counted}",
            "nothing is lost: jobs go back to their place. If others use the same key, lower the limits by what they "
            "use",
            "docs/troubleshooting.md",
            "wanimate-worker limits --max-in-flight N --requests-per-minute N",
        )
    yield ok("429 answers", counted or "no request yet")


def _slots(now: Snapshot) -> Iterator[Finding]:
    lost = now.slots.without_record
    if lost:
        yield warn(
            "slots",
            f"{plural(lost, 'slot')} without a record: {_named(now.lost_ids, lost)}",
            "the records were evicted or deleted; the slots are freed when their time comes. Check maxmemory-policy",
            "docs/redis.md",
        )
    yield ok("slots", f"{now.slots.used} of {now.slots.cap} in use")


def _unknown(now: Snapshot) -> Iterator[Finding]:
    if now.unknown:
        yield warn(
            "unknown submissions",
            f"{plural(now.unknown, 'submission')} whose answer was lost, the oldest for "
            f"{format_seconds(now.unknown_oldest_seconds or 0)}: {_named(now.unknown_ids, now.unknown)}",
            "the vendor may have accepted and billed each. Find its task in the vendor's list and attach it, with "
            "wanimate-worker resolve ID --task-id T; else it is decided when its time is up",
            "docs/operations/resolve.md",
            "wanimate-worker jobs --state unknown",
        )
    yield ok("unknown submissions", "none")


def _waiting(now: Snapshot) -> Iterator[Finding]:
    oldest = max((band.oldest_seconds or 0 for band in now.bands), default=0)
    if oldest > MAX_WAIT_SECONDS:
        yield info(
            "waiting",
            f"a job has waited for {format_seconds(oldest)}",
            "that is normal while there is more work than slots; else see what holds submissions back",
            "docs/runbooks/oldest-waiting.md",
            "wanimate-worker jobs --state waiting",
        )
    yield ok("waiting", f"{plural(now.waiting, 'job')}, {now.parked} of them parked, the oldest for {span(oldest)}")


def _dead_letters(now: Snapshot) -> Iterator[Finding]:
    if now.dead_letters:
        yield warn(
            "dead letters",
            f"{plural(now.dead_letters, 'message')} that no worker could use",
            "see who sends them; those of a newer library can be replayed once the workers are upgraded",
            "docs/operations/dead-letters.md",
            "wanimate-worker dead",
        )
    yield ok("dead letters", "none")


def _failed(now: Snapshot) -> Iterator[Finding]:
    if now.failed:
        yield info(
            "failed jobs",
            f"{plural(now.failed, 'failed job')} kept",
            "each says why, and can run again for another payment: wanimate-worker retry ID",
            "docs/operations/retry.md",
            "wanimate-worker jobs --state failed",
        )
    yield ok("failed jobs", "none")


def _named(job_ids: tuple[str, ...], count: int) -> str:
    return f"{', '.join(job_ids)}{' …' if count > len(job_ids) else ''}"


#: In the order in which one explains the next. Each ends with what it says if all is well.
RULES: Final[tuple[Callable[[Snapshot], Iterator[Finding]], ...]] = (
    *(_balance, _queues, _beat, _gate, _throttling, _late, _slots, _unknown, _waiting, _dead_letters, _failed),
)


def findings_of(now: Snapshot) -> list[Finding]:
    """Return what every check has found: what is wrong, or that all is well."""
    found: list[Finding] = []
    for rule in RULES:
        *wrong, well = rule(now)
        found += wrong or [well]
    return found


def problems_of(now: Snapshot) -> list[Finding]:
    """Return what an operator should look at, the worst first."""
    found = [finding for finding in findings_of(now) if finding.severity > Severity.OK]
    return sorted(found, key=lambda finding: -finding.severity)


def blockers_of(now: Snapshot) -> list[Blocker]:
    """Return why nothing is submitted, the worst first; empty while jobs are."""
    return [problem for problem in problems_of(now) if isinstance(problem, Blocker)]
