"""The rules about what leaves Wanimate when a job has ended: copies of videos, and webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wanimate.text import counted

from .finding import Finding, Severity, ok, warn
from .formatting import format_seconds, span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..ledger import Delivery
    from .snapshot import Snapshot

#: The receiver of a webhook that is undelivered for longer does not work.
MAX_WEBHOOK_SECONDS: Final = 900.0
#: The store of a video that is not copied for longer does not work.
MAX_COPY_SECONDS: Final = 900.0
#: A video that the vendor stops serving sooner is a warning, then a failure.
MIN_EXPIRY_SECONDS: Final = 7200.0
MIN_LAST_EXPIRY_SECONDS: Final = 1800.0
#: Copies take seconds: before this an expiry is no problem.
_COPYING_SECONDS: Final = 60.0


def find_copies(now: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with the copies of videos, then the finding if all is well."""
    copies, left = now.copies, now.expiry_seconds
    if left is None:
        yield ok("copies", "none to copy")
        return
    expiry = f"expires in {format_seconds(left)}" if left > 0 else "has expired"
    text = f"{counted(copies.jobs, 'video')} to copy; the first {expiry} at the vendor"
    is_behind = copies.tries and now.uncopied_seconds > MAX_COPY_SECONDS
    if now.uncopied_seconds > _COPYING_SECONDS and (left < MIN_EXPIRY_SECONDS or is_behind):
        yield Finding(
            "copies",
            f"{text}: {copies.job_id}, "
            + (f"{counted(copies.tries, 'attempt')}, {copies.why}" if copies.tries else "no attempt"),
            "correct the store: copies are retried until the video expires, then the job ends with the vendor's URL. "
            "`wanimate-worker end ID` ends it now"
            if copies.tries
            else "start `wanimate-worker keep`, or workers with WANIMATE_KEEP_THREADS above 0",
            page="docs/runbooks.md#copies-behind",
            command="wanimate-worker jobs --state keeping",
            severity=Severity.FAIL if left < MIN_LAST_EXPIRY_SECONDS else Severity.WARN,
        )
    yield ok("copies", text)


def find_webhooks(now: Snapshot) -> Iterator[Finding]:
    """Yield what is wrong with webhooks, then the finding if all is well."""
    webhooks, oldest, page = now.webhooks, now.webhooks.oldest, "docs/runbooks.md#webhooks-undelivered"
    if webhooks.given_up:
        yield warn(
            "webhooks",
            f"{counted(webhooks.given_up, 'webhook')} given up{_failing(webhooks.last_given_up)}",
            "correct the receiver, test it with `wanimate-worker webhooks test URL`, then replay them",
            page=page,
            command="wanimate-worker webhooks replay --given-up",
        )
    if now.webhook_age_seconds > MAX_WEBHOOK_SECONDS:
        yield warn(
            "webhooks",
            f"{counted(webhooks.undelivered, 'webhook')} undelivered, the oldest for "
            f"{format_seconds(now.webhook_age_seconds)}{_failing(oldest)}",
            "check the receiver and its responses; webhooks are retried for WANIMATE_WEBHOOK_RETRY_SECONDS"
            if oldest is not None and oldest.attempts
            else "no attempt yet: check that workers run with WANIMATE_WEBHOOK_SECRET",
            page=page,
            command="wanimate-worker webhooks list",
        )
    waited = f", the oldest for {span(now.webhook_age_seconds)}" if webhooks.undelivered else ""
    yield ok("webhooks", f"{webhooks.undelivered:,} undelivered{waited}")


def _failing(delivery: Delivery | None) -> str:
    if delivery is None:
        return ""
    return f", to {delivery.endpoint}{f' ({delivery.why})' if delivery.why else ''}"
