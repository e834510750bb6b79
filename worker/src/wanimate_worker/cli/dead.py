"""`wanimate-worker dead`: the dead letters, messages that no worker could use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
from wanimate.contract import CONTRACT_VERSION
from wanimate.text import counted

from .session import Exit, Session, command

if TYPE_CHECKING:
    from ..bridge.dead_letters import DeadLetter


@command("dead --replay")
@click.option("--replay", is_flag=True, help="Enqueue those again that this version of the workers can read.")
@click.option("--clear", is_flag=True, help="Remove all dead letters.")
def dead(session: Session, *, replay: bool, clear: bool) -> Exit:
    """List, replay or remove dead letters.

    A dead letter is a message that no worker could use. The list has the newest first, with the reason, and never the
    content. The newest 1,000 are kept. Run --replay after all workers are upgraded: jobs keep their ids, so a second
    replay enqueues nothing twice.
    """
    from ..bridge.dead_letters import DeadLetter

    if replay and clear:
        raise click.UsageError("use --replay or --clear, not both")
    stored = session.ledger.dead_letters
    if clear:
        count = stored.clear()
        session.line(f"{counted(count, 'dead letter')} removed", removed=count)
        return Exit.OK
    letters = [DeadLetter.read(each) for each in stored.read()]
    if replay:
        return _replay(session, letters)
    for letter in letters:
        session.line(_line(letter), **letter.facts())
    if letters:
        session.note(f"{counted(len(letters), 'dead letter')}; {letters[0].number} since the list was last empty")
    return Exit.OK


def _replay(session: Session, letters: list[DeadLetter]) -> Exit:
    from ..bridge.dead_letters import publish_again

    left = 0
    for letter in reversed(letters):
        if letter.can_be_replayed(CONTRACT_VERSION):
            # In this order a crash in between replays it twice and loses nothing.
            publish_again(session.app, letter)
            session.ledger.dead_letters.remove(letter.stored)
            session.line(f"{letter.number}  replayed into {letter.content['queue']}", **letter.facts())
        else:
            left += 1
    if left:
        session.note(
            f"{counted(left, 'dead letter')} not replayed: not of a newer contract, or newer than this version "
            f"({CONTRACT_VERSION})"
        )
    return Exit.OK


def _line(letter: DeadLetter) -> str:
    facts = letter.facts()
    at = datetime.fromtimestamp(facts["at_ms"] / 1000, tz=UTC).isoformat(sep=" ", timespec="seconds")
    names = [facts["task"] or "", facts["id"] or "", facts["queue"]]
    return "  ".join([str(letter.number), at, facts["reason"], *filter(None, names), f"({facts['why']})"])
