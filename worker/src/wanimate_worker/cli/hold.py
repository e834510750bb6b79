"""`wanimate-worker pause`, `resume` and `drain`: the operator's hold on submissions."""

from __future__ import annotations

import time
from typing import Final

import click
from wanimate.program import SECONDS

from .session import Exit, Session, command

#: How often a drain looks, and how often it says so on stderr, in seconds.
_LOOK_SECONDS: Final = 0.5
_TELL_SECONDS: Final = 10.0
_MAX_REASON: Final = 200


@command
@click.option("--reason", metavar="TEXT", required=True, help="Why; shown to whoever asks.")
def pause(session: Session, reason: str) -> Exit:
    """Send nothing new to the vendor until `resume`; what runs is polled and delivered as ever.

    This is the operator's hold. The pause after the vendor refused the key is another one: that one ends by itself.
    """
    was_held = not session.ledger.gate.pause(_one_line(reason))
    text = "the reason is another now; it was held before" if was_held else "nothing new is sent to the vendor"
    session.line(f"held: {_one_line(reason)}; {text}", held=_one_line(reason), was_held=was_held)
    return Exit.OK


@command
def resume(session: Session) -> Exit:
    """End the hold of `pause` or `drain`."""
    ledger = session.ledger
    was_held = ledger.gate.resume()
    session.runtime.go_on(ledger.polls.grant())
    gate = ledger.gate.read()
    text = "submissions go on" if was_held else "nothing was held"
    if gate.suspended is not None:
        text += f"; but the account is paused ({gate.suspended}): nothing is sent until the vendor takes it again"
    session.line(text, was_held=was_held, refused=gate.suspended)
    return Exit.OK


@command
@click.option("--reason", metavar="TEXT", default="drain", show_default=True, help="Why; shown to whoever asks.")
@click.option("--timeout", type=SECONDS, help="For ever, unless given.")
def drain(session: Session, reason: str, timeout: float | None) -> Exit:
    """Hold submissions, then wait until the vendor renders nothing and every outcome is delivered.

    The hold stays, also when the time-out passes: `resume` ends it.
    """
    ledger = session.ledger
    ledger.gate.pause(_one_line(reason))
    started = time.monotonic()
    told_at = started - _TELL_SECONDS
    while True:
        in_flight = ledger.records.in_flight()
        undelivered = ledger.records.undelivered() + ledger.keeps.waiting()
        now = time.monotonic()
        if not in_flight and not undelivered:
            session.line(f"drained after {now - started:.0f} s; `resume` ends the hold", in_flight=0, undelivered=0)
            return Exit.OK
        if timeout is not None and now - started >= timeout:
            session.line(
                f"not drained after {timeout:g} s: {in_flight} in flight, {undelivered} undelivered; the hold stays",
                in_flight=in_flight,
                undelivered=undelivered,
            )
            return Exit.TIMED_OUT
        if now - told_at >= _TELL_SECONDS:
            told_at = now
            session.note(f"{in_flight} in flight, {undelivered} outcomes on their way")
        time.sleep(_LOOK_SECONDS)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MAX_REASON] or "no reason given"
