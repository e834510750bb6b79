"""Everything that can be wrong with an account: one list of rules over a snapshot, which every view shows.

The page, its JSON, the metrics, `top`, `doctor` and the line below waiting jobs are views of it. The alerts of
`deploy/monitoring/rules` state the same conditions in PromQL; a test compares their thresholds with those here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from wanimate.contract.cost import format_usd
from wanimate.text import counted, format_duration

from ..ledger import BreakerFor, SuspendedFor
from .finding import Blocker, BlockReason, Finding, Severity, fail, info, ok, warn
from .formatting import format_seconds, number, span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..ledger import Delivery
    from .snapshot import Snapshot

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
#: A webhook that is not delivered for longer has a receiver that does not work.
MAX_WEBHOOK_SECONDS: Final = 900.0
#: A video that is not copied for longer has a store that does not work.
MAX_COPY_SECONDS: Final = 900.0
#: The vendor stops serving a video that soon: it is warned of, and then it fails.
MIN_EXPIRY_SECONDS: Final = 7200.0
MIN_LAST_EXPIRY_SECONDS: Final = 1800.0
#: A video is copied within seconds: before this it is no worry, however soon it expires.
_COPYING_SECONDS: Final = 60.0


def is_polling(now: Snapshot) -> bool:
    """Whether polls begin; if not, beat or the workers are missing, and no slot is freed."""
    longest = max(MAX_SILENCE_SECONDS, MAX_SILENT_TICKS * now.poll_tick_seconds)
    return now.beat_age_seconds is not None and now.beat_age_seconds <= longest


def is_balance_low(now: Snapshot) -> bool:
    """Whether the balance is below the threshold that warns."""
    left, warn_below = now.balance.left_micro_usd, now.limits.balance_warn_micro_usd
    return left is not None and warn_below is not None and left < warn_below


def is_balance_old(now: Snapshot) -> bool:
    """Whether the vendor has not reported it for long."""
    return (now.balance_age_seconds or 0) > MAX_BALANCE_AGE_SECONDS


def _balance(now: Snapshot) -> Iterator[Finding]:
    balance, age = now.balance, now.balance_age_seconds
    page, add = "docs/runbooks.md#balance-low", "add credit at the vendor"
    left = format_usd(balance.left_micro_usd or 0)
    if now.gate.is_balance_low:
        hold = format_usd(now.limits.balance_hold_micro_usd or 0)
        yield Blocker(
            "balance",
            f"the balance of {left} is too low for the next job; submissions are held below {hold}",
            f"{add}, and submissions resume within about a minute; or lower the threshold",
            page=page,
            command="wanimate-worker limits --balance-hold-usd USD",
            severity=Severity.FAIL,
            reason=BlockReason.BALANCE,
        )
    elif balance.micro_usd is not None and balance.micro_usd <= 0:
        yield fail("balance", f"the balance is {left}: the account is empty", add, page=page)
    elif is_balance_low(now):
        text = f"the balance is {left}, below {format_usd(now.limits.balance_warn_micro_usd or 0)}"
        yield warn("balance", text, f"{add} before submissions are held or refused", page=page)
    if now.has_balance_threshold and (age is None or (balance.why and is_balance_old(now))):
        last = "" if age is None else f" for {format_seconds(age)}"
        yield warn(
            "balance",
            f"the balance could not be read{last}: {balance.why or 'no worker has read it yet'}",
            "its thresholds work by the last reading, if there is one; see whether the key may read it, or remove them",
            page=page,
            command="wanimate-worker limits --balance-hold-usd none --balance-warn-usd none",
        )
    if balance.micro_usd is None:
        yield ok("balance", f"not known: {balance.why or 'no worker has read it'}")
    else:
        yield ok("balance", f"{format_usd(balance.micro_usd)}, read {format_seconds(age or 0)} ago")


def _queues(now: Snapshot) -> Iterator[Finding]:
    for queue, length in now.queues.items():
        if length > MAX_QUEUE_MESSAGES:
            text = f"{length:,} messages in the queue {queue} wait for a worker"
            advice = "start more workers, if they do not become fewer"
            yield warn("queues", text, advice, page="docs/runbooks.md#queue-behind")
    yield ok("queues", ", ".join(f"{length:,} messages in {queue}" for queue, length in now.queues.items()))


def _beat(now: Snapshot) -> Iterator[Finding]:
    age = now.beat_age_seconds
    if not is_polling(now):
        yield fail(
            "beat",
            f"no poll has begun {'in the last day' if age is None else f'for {format_seconds(age)}'}",
            "no worker asks the vendor whether a task has ended, so no slot is freed: start beat; if it runs, see its "
            "log and whether workers answer",
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
            "nothing is lost, and the workers retry. See whether the vendor is up; check the network, the proxy and "
            "WANIMATE_API_BASE_URL",
            page="docs/runbooks.md#back-off-long",
        )
    if slots.effective_cap < slots.cap:
        yield warn(
            "gate",
            f"a 429 lowered the cap to {number(slots.effective_cap)} of {number(slots.cap)} slots",
            "the vendor counts more tasks than Wanimate does: see who else uses the key. The cap grows back within ten "
            "minutes",
            page="docs/runbooks.md#throttled",
        )
    yield ok("gate", "closed by the balance" if gate.is_balance_low else "open")


#: What closes the gate: for a while or by an operator's wish, and until an operator acts.
_blocker: Final = partial(Blocker, "gate", severity=Severity.WARN, page="docs/runbooks.md#back-off-long")
_failing_blocker: Final = partial(_blocker, severity=Severity.FAIL)


def _blockers(now: Snapshot) -> Iterator[Blocker]:
    gate = now.gate
    if gate.suspended is not None:
        is_poor = gate.suspended_for is SuspendedFor.CREDIT
        yield _failing_blocker(
            f"paused, {'there is no credit' if is_poor else 'the vendor refuses the key'}: {gate.suspended}",
            f"{'add credit' if is_poor else 'correct the key'}; submissions then resume without a command",
            page="docs/runbooks.md#key-refused",
            reason=BlockReason.SUSPENDED,
        )
    if ms := _left_ms(now, gate.unsafe_until_ms):
        yield _failing_blocker(
            f"nothing is submitted for {format_duration(ms)}: {gate.unsafe}",
            "see the finding `replicas` of doctor; jobs wait at their place, and the workers retry",
            page="docs/runbooks.md#intents-unsafe",
            reason=BlockReason.UNSAFE,
            for_seconds=ms / 1000,
        )
    if gate.paused is not None:
        yield _blocker(
            f"held by an operator: {gate.paused}",
            "resume when submissions may go on",
            page="docs/operations.md#pause",
            command="wanimate-worker resume",
            reason=BlockReason.PAUSED,
        )
    if ms := _left_ms(now, gate.limited_until_ms):
        yield _blocker(
            f"the day's limit of what is billed is reached; nothing more is submitted for {format_duration(ms)}",
            "submissions resume at 00:00 UTC, or at once with a higher limit; that in dollars is "
            "--daily-billed-usd USD",
            page="docs/runbooks.md#daily-limit-reached",
            command="wanimate-worker limits --daily-billed-seconds SECONDS",
            reason=BlockReason.DAILY_LIMIT,
            for_seconds=ms / 1000,
        )
    if ms := _left_ms(now, gate.closed_until_ms):
        text = f"closed for {format_duration(ms)}: {gate.reason}"
        yield _blocker(text, "wait: the workers retry", reason=BlockReason.BACK_OFF, for_seconds=ms / 1000)
    if gate.breaker_next_ms is not None:
        yield from _probe(now, _left_ms(now, gate.breaker_next_ms))


def _probe(now: Snapshot, ms: int) -> Iterator[Blocker]:
    gate, page = now.gate, "docs/runbooks.md#probe-long"
    if gate.breaker_for is BreakerFor.REFUSED:
        yield _failing_blocker(
            f"the last {gate.refused_in_a_row} jobs were refused without a reason that concerns any of them "
            f"({gate.refused_why}); one submission at a time is tried",
            "check the key's permissions, the model, WANIMATE_API_BASE_URL, and firewalls and proxies on the way; "
            "submissions resume once one is accepted",
            page="docs/runbooks.md#submissions-refused",
            reason=BlockReason.REFUSED,
            for_seconds=ms / 1000,
        )
    elif gate.breaker_for is BreakerFor.LOST:
        text = f"the answers to the last {gate.lost_in_a_row} submissions were lost; one at a time is tried"
        advice = "see whether the vendor is up; submissions resume once one is answered"
        yield _blocker(text, advice, page=page, reason=BlockReason.PROBE, for_seconds=ms / 1000)
    elif ms:
        text = "the account was paused; one submission is tried before the others"
        advice = "wait: submissions resume once one is accepted"
        yield _blocker(text, advice, page=page, reason=BlockReason.PROBE, for_seconds=ms / 1000)


def _left_ms(now: Snapshot, until_ms: int) -> int:
    return max(0, until_ms - now.at_ms)


def _late(now: Snapshot) -> Iterator[Finding]:
    # While the vendor refuses the key, or throttles, no job is polled, and more workers would change nothing.
    may_poll = now.gate.suspended is None and now.gate.closed_until_ms <= now.at_ms
    if now.due_lag_seconds > MAX_DUE_LAG_SECONDS and may_poll and is_polling(now):
        yield fail(
            "late jobs",
            f"a job has been due for {format_seconds(now.due_lag_seconds)}",
            "workers do not keep up: start more of them, or see what they wait for",
            page="docs/runbooks.md#due-lag-high",
        )
    yield ok("late jobs", f"none by more than {span(now.due_lag_seconds)}")


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
            "nothing is lost: jobs go back to their place. If others use the same key, lower the limits by what they "
            "use",
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
            "the records were evicted or deleted; the slots are freed when their time comes. Check maxmemory-policy",
            page="docs/runbooks.md#slots-leaked",
        )
    yield ok("slots", f"{now.slots.used} of {now.slots.cap} in use")


def _unknown(now: Snapshot) -> Iterator[Finding]:
    if now.unknown:
        yield warn(
            "unknown submissions",
            f"{counted(now.unknown, 'submission')} whose answer was lost, the oldest for "
            f"{format_seconds(now.unknown_oldest_seconds or 0)}: {_named(now.unknown_ids, now.unknown)}",
            "the vendor may have accepted and billed each. Find its task in the vendor's list and attach it, with "
            "wanimate-worker resolve ID --task-id T; else it is decided when its time is up",
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
            "that is normal while there is more work than slots; else see what holds submissions back",
            page="docs/runbooks.md#oldest-waiting",
            command="wanimate-worker jobs --state waiting",
        )
    yield ok("waiting", f"{counted(now.waiting, 'job')}, {now.parked} of them parked, the oldest for {span(oldest)}")


def _dead_letters(now: Snapshot) -> Iterator[Finding]:
    if now.dead_letters:
        yield warn(
            "dead letters",
            f"{counted(now.dead_letters, 'message')} that no worker could use",
            "see who sends them; those of a newer library can be replayed once the workers are upgraded",
            page="docs/runbooks.md#dead-letters",
            command="wanimate-worker dead",
        )
    yield ok("dead letters", "none")


def _copies(now: Snapshot) -> Iterator[Finding]:
    copies, left = now.copies, now.expiry_seconds
    if left is None:
        yield ok("copies", "none to make")
        return
    served = f"is served for {format_seconds(left)}" if left > 0 else "is no longer served"
    text = f"{counted(copies.jobs, 'video')} to copy; the first {served}"
    is_behind = copies.tries and now.uncopied_seconds > MAX_COPY_SECONDS
    if now.uncopied_seconds > _COPYING_SECONDS and (left < MIN_EXPIRY_SECONDS or is_behind):
        yield Finding(
            "copies",
            f"{text}: {copies.job_id}, " + (f"{copies.tries} tries, {copies.why}" if copies.tries else "not tried"),
            "correct the store; it is tried until the vendor stops serving the video, and the job then ends with the "
            "vendor's URL; wanimate-worker end ID ends it so now"
            if copies.tries
            else "start wanimate-worker keep, or workers with WANIMATE_KEEP_THREADS above 0",
            page="docs/runbooks.md#copies-behind",
            command="wanimate-worker jobs --state keeping",
            severity=Severity.FAIL if left < MIN_LAST_EXPIRY_SECONDS else Severity.WARN,
        )
    yield ok("copies", text)


def _webhooks(now: Snapshot) -> Iterator[Finding]:
    webhooks, oldest, page = now.webhooks, now.webhooks.oldest, "docs/runbooks.md#webhooks-undelivered"
    if webhooks.given_up:
        yield warn(
            "webhooks",
            f"{counted(webhooks.given_up, 'webhook')} given up{_failing(webhooks.last_given_up)}",
            "correct the receiver and try it with wanimate-worker webhooks test URL; then send them again",
            page=page,
            command="wanimate-worker webhooks replay --given-up",
        )
    if now.webhook_age_seconds > MAX_WEBHOOK_SECONDS:
        yield warn(
            "webhooks",
            f"{counted(webhooks.undelivered, 'webhook')} undelivered, the oldest for "
            f"{format_seconds(now.webhook_age_seconds)}{_failing(oldest)}",
            "see whether its receiver is up, and what it answers; it is tried for WANIMATE_WEBHOOK_RETRY_SECONDS"
            if oldest is not None and oldest.attempts
            else "it was not tried: see whether workers run, and have WANIMATE_WEBHOOK_SECRET",
            page=page,
            command="wanimate-worker webhooks list",
        )
    yield ok("webhooks", f"{webhooks.undelivered:,} undelivered, the oldest for {span(now.webhook_age_seconds)}")


def _failing(delivery: Delivery | None) -> str:
    if delivery is None:
        return ""
    return f", to {delivery.endpoint}{f' ({delivery.why})' if delivery.why else ''}"


def _failed(now: Snapshot) -> Iterator[Finding]:
    if now.failed:
        yield info(
            "failed jobs",
            f"{counted(now.failed, 'failed job')} kept",
            "each says why, and can run again for another payment: wanimate-worker retry ID",
            page="docs/operations.md#retry",
            command="wanimate-worker jobs --state failed",
        )
    yield ok("failed jobs", "none")


def _named(job_ids: tuple[str, ...], count: int) -> str:
    return f"{', '.join(job_ids)}{' …' if count > len(job_ids) else ''}"


#: In the order in which one explains the next. Each ends with what it says if all is well.
RULES: Final[tuple[Callable[[Snapshot], Iterator[Finding]], ...]] = (
    *(_balance, _queues, _beat, _gate, _throttling, _late, _slots, _unknown, _waiting),
    *(_copies, _webhooks, _dead_letters, _failed),
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
