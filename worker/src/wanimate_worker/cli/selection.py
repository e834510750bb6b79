"""Which jobs a command is about: by state, age, label and error."""

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
from wanimate.text import format_duration, pairs_of

from ..ledger import JobRecord, Transition, read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wanimate.contract.cost import Prices

    from ..ledger import Ledger

#: The states that can be listed, and where their jobs are found.
STATES: Final = {
    "submitting": ("slots",),
    "unknown": ("slots",),
    "running": ("slots",),
    "keeping": ("copying", "keeping"),
    "failed": ("failed",),
    "waiting": ("waiting", "parked"),
}
_PAGE: Final = 200
_UNITS: Final = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
#: What is said about a job without a record.
UNRECORDED: Final = {
    Presence.THERE: "no worker has recorded it yet, or only its result is left: ask wanimate status",
    Presence.ABSENT: "nothing is known about it: check the id, or enqueue the job anew",
    Presence.UNSURE: "it may be in the queue, which is too long to look through: ask again when it is shorter",
}


def follows(leader: str) -> str:
    """Return why nothing is done with a record that is one more caller of a job, its leader."""
    return f"it is one more caller of job {leader}: that is the one to change"


@dataclass(frozen=True, slots=True)
class View:
    """One job as the operator sees it.

    Args:
        record: What is stored about it.
        status: What its caller sees.
        error: The name of the error it failed with.
        since_ms: Since when it is in this state, in Redis time.
        history: Its transitions, the oldest first.
    """

    record: JobRecord
    status: JobStatus
    error: str | None
    since_ms: int | None
    history: list[Transition]

    @classmethod
    def of(cls, record: JobRecord, prices: Prices | None = None) -> View:
        """Read what is stored about a job."""
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
        """Return in how many milliseconds it is in line again; None if it is not parked."""
        until_ms = self.record.parked_until_ms
        return None if until_ms is None else max(0, until_ms - now_ms)

    @property
    def _copies_failed(self) -> int | None:
        """How many copies of its video failed; None if it is not being kept."""
        return int(self.record.fields.get("keep_tries", 0)) if self.status.state is JobState.KEEPING else None

    @property
    def _expires_ms(self) -> int | None:
        """When the vendor stops serving its video, while that is being kept."""
        expires_ms = self.record.fields.get("expires_at_ms")
        return int(expires_ms) if expires_ms and self.status.state is JobState.KEEPING else None

    def _copying(self, now_ms: int) -> str:
        """Return how the copy of its video fares; empty if there is nothing to copy, or no copy failed."""
        failed, expires_ms = self._copies_failed, self._expires_ms
        if not failed or expires_ms is None:
            return ""
        left = f"served for {format_duration(expires_ms - now_ms)}" if expires_ms > now_ms else "no longer served"
        copies = "1 copy" if failed == 1 else f"{failed} copies"
        return f"{copies} failed ({self.record.fields.get('keep_why')}), {left}"

    def facts(self, now_ms: int) -> dict[str, Any]:
        """Return its fields for a program."""
        parked_ms = self.parked_ms(now_ms)
        told = self.status.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        message = told.pop("error", None)
        return {
            **told,
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
        parts += [f"perhaps {hint}"] if (hint := fields.get("hint")) else []
        parts += ["answers cannot be read"] if fields.get("unreadable_why") else []
        parked_ms = self.parked_ms(now_ms)
        if parked_ms is not None:
            parts.append(f"parked, in line again in {format_duration(parked_ms)} ({self.history[-1].cause})")
        parts += [self._copying(now_ms), *pairs_of(status.labels)]
        if status.billed_seconds is not None:
            usd = "" if status.billed_usd is None else f", {format_usd(to_micro_usd(status.billed_usd))}"
            parts.append(f"about {status.billed_seconds:g} s{usd} billed")
        return "  ".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs are meant.

    Args:
        states: Names of states.
        older_than_seconds: They have been in their state for at least this long, in seconds.
        labels: They have all of these labels.
        error: They failed with this error.
    """

    states: tuple[str, ...]
    older_than_seconds: float = 0.0
    labels: Sequence[tuple[str, str]] = ()
    error: str | None = None

    def select(self, ledger: Ledger, now_ms: int) -> Iterator[View]:
        """Yield the jobs that are meant, state by state, the oldest first; pages are read as they are needed."""
        limits = ledger.limits.read()
        prices = None if limits is None else limits.prices
        for source in dict.fromkeys(name for state in STATES if state in self.states for name in STATES[state]):
            # What changes its place between two pages is shown once, or not at all.
            seen: set[str] = set()
            start = 0
            while page := ledger.records.page(source, start, _PAGE):
                start += len(page)
                new = [job_id for job_id in page if job_id not in seen]
                seen.update(new)
                for record in ledger.records.whole(new):
                    view = View.of(record, prices)
                    if record.fields and self.takes(view, now_ms):
                        yield view

    def takes(self, view: View, now_ms: int) -> bool:
        """Whether one job is meant."""
        labels = view.status.labels
        return (
            view.status.state.value in self.states
            and (self.error is None or view.error == self.error)
            and all(labels.get(name) == value for name, value in self.labels)
            and now_ms - (view.since_ms or now_ms) >= self.older_than_seconds * 1000
        )


def read_age(text: str) -> float:
    """Return the seconds in `90`, `90s`, `15m`, `2h` or `3d`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if found is None:
        raise click.BadParameter(f"a time is expected, such as 90, 15m, 2h or 3d; got {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def filter_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --older-than, --label and --limit."""
    for option in (
        click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many jobs."),
        click.option(
            "--label", "labels", type=read_label, metavar="K=V", multiple=True, help="Repeatable: all of them."
        ),
        click.option(
            "--older-than",
            type=read_age,
            metavar="TIME",
            default="0",
            help="In this state for at least so long: 90, 15m, 2h or 3d.",
        ),
    ):
        function = option(function)
    return function
