"""Findings: the results of checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from functools import partial
from typing import Final


class Severity(IntEnum):
    """How bad it is; lower-cased where it is shown."""

    OK = 0
    #: For information.
    INFO = 1
    #: It costs something, or will; or it cannot be checked from here.
    WARN = 2
    #: Jobs stand still or may be lost until an operator acts.
    FAIL = 3


class BlockReason(StrEnum):
    """Why no jobs are submitted; the values are those of the metrics."""

    #: The vendor refuses the key, and nothing is polled either; or the account is empty.
    SUSPENDED = "suspended"
    #: An operator paused submissions.
    PAUSED = "paused"
    #: The day's limit of what is billed is reached.
    DAILY_LIMIT = "daily_limit"
    #: The balance is too low for the next job.
    BALANCE = "balance"
    #: The vendor throttles or cannot be reached. Nothing is polled either.
    BACK_OFF = "back_off"
    #: Redis could not make an intent safe.
    UNSAFE = "unsafe"
    #: Several jobs were refused without a verdict on any of them; one at a time is tried.
    REFUSED = "refused"
    #: The answers to several submissions were lost, or the account was suspended; one at a time is tried as a probe.
    PROBE = "probe"


#: The command of findings that have none of their own.
DOCTOR: Final = "wanimate-worker doctor"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Args:
        check: What was checked.
        text: What was found, as a sentence without the first capital and the full stop.
        advice: What to do next, in the same form; empty if all is well.
        page: The page of the documentation.
        command: The command to run next.
    """

    check: str
    text: str
    advice: str = ""
    page: str = field(default="", kw_only=True)
    command: str = field(default=DOCTOR, kw_only=True)
    severity: Severity = field(kw_only=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker(Finding):
    """A finding that stops submissions.

    Args:
        for_seconds: How long it lasts, if known.
    """

    reason: BlockReason
    for_seconds: float | None = None


ok: Final = partial(Finding, severity=Severity.OK)
info: Final = partial(Finding, severity=Severity.INFO)
warn: Final = partial(Finding, severity=Severity.WARN)
fail: Final = partial(Finding, severity=Severity.FAIL)
