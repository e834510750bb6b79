"""What a check has found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    #: It works, and will stop to, or cannot be judged from here.
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check.

    Args:
        name: What was looked at.
        level: How bad it is.
        text: What was found.
        advice: What to do next; empty when all is well.
    """

    name: str
    level: Level
    text: str
    advice: str = ""


def ok(name: str, text: str) -> Finding:
    """Return a finding that is as it must be."""
    return Finding(name, Level.OK, text)


def warn(name: str, text: str, advice: str) -> Finding:
    """Return a finding to look at soon."""
    return Finding(name, Level.WARN, text, advice)


def fail(name: str, text: str, advice: str) -> Finding:
    """Return a finding to act on now."""
    return Finding(name, Level.FAIL, text, advice)
