"""Selects jobs by state, age, label and error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import click
from wanimate.contract import JobState, JobStatus
from wanimate.contract.cost import format_usd, to_micro_usd
from wanimate.contract.record import read_outcome
from wanimate.program import read_label
from wanimate.redis.presence import Presence
from wanimate.text import counted, format_duration, pairs_of

from ..ledger import JobRecord, Transition, read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wanimate.contract.cost import Prices

    from ..ledger import Ledger

#: The indexes in which jobs of a state are found.
STATES: Final = {
    "submitting": ("slots",),
    "unknown": ("slots",),
    "running": ("slots",),
    "keeping": ("copying", "keeping"),
    "failed": ("failed",),
    "waiting": ("waiting", "parked"),
    "succeeded": ("events",),
}
#: Listed unless a state is asked for: jobs that have not ended, and failures.
DEFAULT_STATES: Final = tuple(state for state in STATES if state != "succeeded")
_PAGE: Final = 200
_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
#: The message about a job without a record.
UNRECORDED: Final = {
    Presence.THERE: "no worker has recorded it yet, or only its result is left: see `wanimate status ID`",
    Presence.ABSENT: "not found: check the id. If it is right, its record has expired: enqueue the job again",
    Presence.UNSURE: "not found; the queue is too long to search for its message. Try again when it is shorter",
}


def follows(leader: str) -> str:
    """Return why a record that follows another job, its leader, is not changed."""
    return f"it follows job {leader} (same idempotency key): change that one"


@dataclass(frozen=True, slots=True)
class View:
    """One job for the operator.

    Args:
        record: Its record in the ledger.
        status: The status for its caller.
        error: The name of the error it failed with.
        since_ms: When it entered this state, Unix ms in Redis time.
        history: Its transitions, the oldest first.
    """

    record: JobRecord
    status: JobStatus
    error: str | None
    since_ms: int | None
    history: list[Transition]

    @classmethod
    def of(cls, record: JobRecord, prices: Prices | None = None) -> View:
        """Build from a job's record."""
        fields = record.fields
        has_slot = record.slot_since_ms is not None
        status = JobStatus.from_hash(record.job_id, fields, record.rank, has_slot=has_slot, prices=prices)
        outcome, history = read_outcome(fields), read_history(fields)
        settled = fields.get("settled_at_ms")
        since = int(settled) if settled else history[-1].at_ms if history else None
        if status.state is JobState.SUBMITTING and fields.get("stage") == "waiting":
            since = record.slot_since_ms
        return cls(record, status, outcome.error if outcome else None, since, history)

    def parked_ms(self, now_ms: int) -> int | None:
        """Return in how many milliseconds a parked job is retried; None if it is not parked."""
        until_ms = self.record.parked_until_ms
        return None if until_ms is None else max(0, until_ms - now_ms)

    @property
    def _copies_failed(self) -> int | None:
        """How many copies of its video failed; None if it is not in state keeping."""
        return int(self.record.fields.get("keep_tries", 0)) if self.status.state is JobState.KEEPING else None

    @property
    def _expires_ms(self) -> int | None:
        """When the vendor stops serving its video, in state keeping."""
        expires_ms = self.record.fields.get("expires_at_ms")
        return int(expires_ms) if expires_ms and self.status.state is JobState.KEEPING else None

    def _copying(self, now_ms: int) -> str:
        """Return how copying its video has failed; empty if it has not."""
        failed, expires_ms = self._copies_failed, self._expires_ms
        if not failed or expires_ms is None:
            return ""
        left = format_duration(expires_ms - now_ms)
        expiry = f"the vendor's URL expires in {left}" if expires_ms > now_ms else "the vendor's URL has expired"
        return f"{counted(failed, 'copy', 'copies')} failed ({self.record.fields.get('keep_why')}), {expiry}"

    def facts(self, now_ms: int) -> dict[str, Any]:
        """Return its fields for a program."""
        parked_ms = self.parked_ms(now_ms)
        dumped = self.status.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        message = dumped.pop("error", None)
        return {
            **dumped,
            "for_seconds": None if self.since_ms is None else round((now_ms - self.since_ms) / 1000, 1),
            "hint": self.record.fields.get("hint"),
            "unreadable": self.record.fields.get("unreadable_why"),
            "parked_seconds": None if parked_ms is None else round(parked_ms / 1000, 1),
            "copies_failed": self._copies_failed,
            "copy_failed_why": self.record.fields.get("keep_why"),
            "expires_in_seconds": None if (ms := self._expires_ms) is None else round((ms - now_ms) / 1000, 1),
            "error": self.error,
            "message": message,
        }

    def line(self, now_ms: int) -> str:
        """Return it as one line for a person."""
        status, fields = self.status, self.record.fields
        age = "" if self.since_ms is None else f"for {format_duration(now_ms - self.since_ms)}"
        parts = [status.id, f"{status.state.value:<10}", f"{age:<12}", self.error or "", status.task_id or ""]
        parts += [f"possible task {hint}"] if (hint := fields.get("hint")) else []
        parts += ["status responses unreadable"] if fields.get("unreadable_why") else []
        parked_ms = self.parked_ms(now_ms)
        if parked_ms is not None:
            parts.append(f"parked, retried in {format_duration(parked_ms)} ({self.history[-1].cause})")
        parts += [self._copying(now_ms), *pairs_of(status.labels)]
        if status.billed_seconds is not None:
            usd = "" if status.billed_usd is None else f", {format_usd(to_micro_usd(status.billed_usd))}"
            parts.append(f"about {status.billed_seconds:g} s{usd} billed")
        parts += status.urls
        return "  ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Filter:
    """Selects jobs.

    Args:
        states: Names of states.
        older_than_seconds: The shortest time in their state, in seconds.
        labels: Labels that they all have.
        error: The error that they failed with.
    """

    states: tuple[str, ...]
    older_than_seconds: float = 0.0
    labels: Sequence[tuple[str, str]] = ()
    error: str | None = None

    def select(self, ledger: Ledger, now_ms: int) -> Iterator[View]:
        """Yield the selected jobs, state by state, the oldest first, succeeded ones the newest first.

        Pages are read as they are needed.
        """
        limits = ledger.limits.read()
        prices = None if limits is None else limits.prices
        for source in dict.fromkeys(name for state in STATES if state in self.states for name in STATES[state]):
            # A job that moves between two pages is shown once or not at all.
            seen: set[str] = set()
            for page in _pages(ledger, source):
                new = [job_id for job_id in dict.fromkeys(page) if job_id not in seen]
                seen.update(new)
                for record in ledger.records.whole(new):
                    view = View.of(record, prices)
                    if record.fields and self.takes(view, now_ms):
                        yield view

    def takes(self, view: View, now_ms: int) -> bool:
        """Whether one job is selected."""
        labels = view.status.labels
        return (
            view.status.state.value in self.states
            and (self.error is None or view.error == self.error)
            and all(labels.get(name) == value for name, value in self.labels)
            and now_ms - (view.since_ms or now_ms) >= self.older_than_seconds * 1000
        )


def _pages(ledger: Ledger, source: str) -> Iterator[list[str]]:
    """Yield the ids of an index, page by page."""
    if source == "events":
        yield from ledger.records.ended(_PAGE)
        return
    start = 0
    while page := ledger.records.page(source, start, _PAGE):
        start += len(page)
        yield page


def read_age(text: str) -> float:
    """Return the seconds in `90`, `90s`, `15m`, `2h` or `3d`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise click.BadParameter(f"expected a time such as 90, 15m, 2h or 3d; got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --older-than, --label and --limit."""
    for option in (
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="The most jobs."),
        click.option(
            "--label",
            "labels",
            type=read_label,
            metavar="K=V",
            multiple=True,
            help="Only jobs with this label; repeatable.",
        ),
        click.option(
            "--older-than",
            type=read_age,
            metavar="TIME",
            default="0",
            help="Only jobs in their state for at least this long: 90, 15m, 2h, 3d.",
        ),
    ):
        function = option(function)
    return function
