"""The history of a job: what happened to it, when and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a job's stage.

    Args:
        at_ms: When, in Redis time.
        stage: The stage it came to.
        cause: Why: the attempt, the vendor's task, the error, or who did it.
    """

    at_ms: int
    stage: str
    cause: str


def read_history(fields: Mapping[str, str]) -> list[Transition]:
    """Return the transitions in a job's hash, the oldest first: its first, and the last fifty of the others.

    Args:
        fields: The hash.
    """
    recorded = fields.get("waiting_at_ms")
    history = [Transition(int(recorded), "waiting", "recorded")] if recorded else []
    for line in filter(None, (fields.get("history") or "").split("\n")):
        at_ms, stage, cause = line.split(" ", 2)
        history.append(Transition(int(at_ms), stage, cause))
    return history
