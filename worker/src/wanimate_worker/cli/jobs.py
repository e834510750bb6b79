"""`wanimate-worker jobs` and `wanimate-worker show`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Final

import click
from wanimate.contract import JobState
from wanimate.text import counted, pairs_of

from .selection import DEFAULT_STATES, STATES, UNRECORDED, Filter, View, filter_options
from .session import Exit, Session, command

_LIMIT: Final = 50
#: What an operator can do with a job in this state.
_NEXT: Final = {
    JobState.UNKNOWN: (
        "The vendor may have billed it. If you find its task at the vendor, attach it:\n"
        "  wanimate-worker resolve {id} --task-id TASK\n"
        "  Otherwise submit it again: wanimate-worker retry {id}"
    ),
    JobState.FAILED: "Run it again, billed again: wanimate-worker retry {id}",
}


@command("jobs --state failed --older-than 1h --label team=ads")
@click.option(
    "--state",
    "states",
    type=click.Choice(list(STATES)),
    multiple=True,
    help="Only jobs in this state; repeatable. Default: all but succeeded.",
)
@filter_options
def jobs(
    session: Session,
    *,
    states: tuple[str, ...],
    older_than: float,
    labels: tuple[tuple[str, str], ...],
    limit: int | None,
) -> Exit:
    """List jobs by state, age or label.

    The oldest first, 50 unless --limit. Succeeded jobs: the newest first, with their URLs, among the events that are
    kept (`limits`: events kept), until their results expire.
    """
    now_ms = session.ledger.records.now_ms()
    wanted = Filter(states or DEFAULT_STATES, older_than, labels)
    shown = waiting = 0
    for view in islice(wanted.select(session.ledger, now_ms), limit or _LIMIT):
        session.line(view.line(now_ms), **view.facts(now_ms))
        shown += 1
        waiting += view.status.state is JobState.WAITING
    if waiting and not session.as_json:
        _note_why_they_wait(session)
    if shown == (limit or _LIMIT):
        session.note(f"The first {counted(shown, 'job')}. For more, use --limit.")
    elif not shown and not session.as_json:
        session.note("No jobs found.")
    return Exit.OK


def _note_why_they_wait(session: Session) -> None:
    from ..health.reading import Reader
    from ..health.verdict import why_waiting

    if why := why_waiting(Reader(session.runtime.redis, session.runtime.settings).read()):
        session.note(why)


@command("show 5b2d7a3e-0c1f-4f5e-9a54-6f0f6f1c2d11", Exit.REFUSED)
@click.argument("job_id", metavar="ID")
def show(session: Session, job_id: str) -> Exit:
    """Show one job: fields, result URLs and history.

    Its prompt and the URLs of its request may be secret and are not printed.
    """
    ledger = session.ledger
    [record] = ledger.records.whole([job_id])
    if not record.fields:
        session.note(f"{job_id}: {UNRECORDED[ledger.records.presence(job_id)]}.")
        return Exit.REFUSED
    limits = ledger.limits.read()
    view, now_ms = View.of(record, None if limits is None else limits.prices), ledger.records.now_ms()
    facts = view.facts(now_ms)
    if session.as_json:
        history = [{"at_ms": step.at_ms, "stage": step.stage, "cause": step.cause} for step in view.history]
        session.line("", **facts, history=history)
        return Exit.OK
    facts["labels"] = "  ".join(pairs_of(view.status.labels)) or None
    facts["urls"] = "  ".join(view.status.urls) or None
    for name, value in facts.items():
        if value is not None:
            session.line(f"{name:<18} {value}")
    session.line("history")
    for step in view.history:
        at = datetime.fromtimestamp(step.at_ms / 1000, tz=UTC).isoformat(sep=" ", timespec="milliseconds")
        session.line(f"  {at}  {step.stage:<10}  {step.cause}")
    if advice := _NEXT.get(view.status.state):
        session.note(advice.format(id=job_id))
    return Exit.OK
