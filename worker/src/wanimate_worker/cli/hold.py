"""`wanimate-worker pause`, `resume` and `drain`: the operator's pause of submissions."""

from __future__ import annotations

import time
from typing import Final

import click
from wanimate.program import SECONDS

from .session import Exit, Session, command

#: How often `drain` checks, and how often it reports on stderr, in seconds.
_CHECK_SECONDS: Final = 0.5
_REPORT_SECONDS: Final = 10.0
_MAX_REASON: Final = 200


@command('pause --reason "vendor maintenance until 14:00"')
@click.option("--reason", metavar="TEXT", required=True, help="Shown by doctor, top and the limits page.")
def pause(session: Session, reason: str) -> Exit:
    """Pause submissions until `resume`.

    Waiting jobs stay in the queue. Jobs that were submitted are polled and delivered. A suspended account (refused
    key, no credit) is not affected: its submissions resume when the vendor accepts the key again.
    """
    was_held = not session.ledger.gate.pause(_one_line(reason))
    text = "submissions were paused already; the reason was replaced" if was_held else "submissions are paused"
    session.line(f"{text}: {_one_line(reason)}", held=_one_line(reason), was_held=was_held)
    return Exit.OK


@command("resume")
def resume(session: Session) -> Exit:
    """Resume submissions after `pause` or `drain`."""
    ledger = session.ledger
    was_held = ledger.gate.resume()
    session.runtime.go_on(ledger.polls.grant())
    gate = ledger.gate.read()
    text = "submissions are resumed" if was_held else "submissions were not paused"
    if gate.suspended is not None:
        text += f", but the account is suspended ({gate.suspended}): no job is sent until the vendor accepts it again"
    session.line(text, was_held=was_held, refused=gate.suspended)
    return Exit.OK


@command("drain --timeout 600", Exit.TIMED_OUT)
@click.option(
    "--reason",
    metavar="TEXT",
    default="drain",
    show_default=True,
    help="Shown by doctor, top and the limits page.",
)
@click.option("--timeout", type=SECONDS, help="How long to wait; without it, until the end.")
def drain(session: Session, reason: str, timeout: float | None) -> Exit:
    """Pause submissions and wait until no job is in flight.

    That is: no task runs at the vendor, every video is copied, and every outcome is delivered. Submissions stay paused
    after that, and after a time-out: `resume` ends the pause.
    """
    ledger = session.ledger
    ledger.gate.pause(_one_line(reason))
    started = time.monotonic()
    reported_at = started - _REPORT_SECONDS
    while True:
        in_flight = ledger.records.in_flight()
        undelivered = ledger.records.undelivered() + ledger.keeps.waiting()
        now = time.monotonic()
        if not in_flight and not undelivered:
            text = f"drained after {now - started:.0f} s; submissions stay paused until `resume`"
            session.line(text, in_flight=0, undelivered=0)
            return Exit.OK
        if timeout is not None and now - started >= timeout:
            text = f"not drained after {timeout:g} s: {in_flight} in flight, {undelivered} undelivered"
            session.line(f"{text}; submissions stay paused", in_flight=in_flight, undelivered=undelivered)
            return Exit.TIMED_OUT
        if now - reported_at >= _REPORT_SECONDS:
            reported_at = now
            session.note(f"waiting: {in_flight} in flight, {undelivered} undelivered")
        time.sleep(_CHECK_SECONDS)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_REASON] or "no reason given"
