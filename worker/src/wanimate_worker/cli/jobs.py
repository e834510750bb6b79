"""`wanimate-worker jobs` and `wanimate-worker show`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Final

import click
from wanimate.contract import JobState
from wanimate.text import pairs_of

from .selection import STATES, UNRECORDED, Filter, View, filter_options
from .session import Exit, Session, command

_LIMIT: Final = 50


@command
@click.option(
    "--state", "states", type=click.Choice(list(STATES)), multiple=True, help="Repeatable; all, unless given."
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
    """List jobs: those that hold a slot, whose videos are copied, that failed, that wait.

    The oldest first, 50 unless --limit.
    """
    now_ms = session.ledger.records.now_ms()
    wanted = Filter(states or tuple(STATES), older_than, labels)
    shown = waiting = 0
    for view in islice(wanted.select(session.ledger, now_ms), limit or _LIMIT):
        session.line(view.line(now_ms), **view.facts(now_ms))
        shown += 1
        waiting += view.status.state is JobState.WAITING
    if waiting and not session.as_json:
        _say_why_they_wait(session)
    if shown == (limit or _LIMIT):
        session.note(f"The first {shown}; there may be more: --limit.")
    elif not shown and not session.as_json:
        session.note("No such jobs.")
    return Exit.OK


def _say_why_they_wait(session: Session) -> None:
    from ..health.reading import Reader
    from ..health.verdict import why_waiting

    if why := why_waiting(Reader(session.runtime.redis, session.runtime.settings).read()):
        session.note(why)


@command
@click.argument("job_id", metavar="ID")
def show(session: Session, job_id: str) -> Exit:
    """Print everything known about one job, with its history; never its URLs or its prompt."""
    ledger = session.ledger
    [record] = ledger.records.whole([job_id])
    if not record.fields:
        session.note(f"{job_id}: no record; {UNRECORDED[ledger.records.presence(job_id)]}.")
        return Exit.REFUSED
    limits = ledger.limits.read()
    view, now_ms = View.of(record, None if limits is None else limits.prices), ledger.records.now_ms()
    facts = view.facts(now_ms)
    if session.as_json:
        history = [{"at_ms": step.at_ms, "stage": step.stage, "cause": step.cause} for step in view.history]
        session.line("", **facts, history=history)
        return Exit.OK
    facts["labels"] = "  ".join(pairs_of(view.status.labels)) or None
    for name, value in facts.items():
        if value is not None:
            session.line(f"{name:<18} {value}")
    session.line("history")
    for step in view.history:
        at = datetime.fromtimestamp(step.at_ms / 1000, tz=UTC).isoformat(sep=" ", timespec="milliseconds")
        session.line(f"  {at}  {step.stage:<10}  {step.cause}")
    return Exit.OK
