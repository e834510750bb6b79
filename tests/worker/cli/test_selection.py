"""Which jobs a command is about, and how one reads as a line."""

from __future__ import annotations

import click
import pytest
from wanimate.contract import Outcome
from wanimate.errors import GenerationFailed
from wanimate.text import format_duration
from wanimate_worker.cli.selection import Filter, View, read_age
from wanimate_worker.ledger import JobRecord, Transition, read_history

NOW_MS = 1_795_000_000_000
FAILED = Outcome.failure(GenerationFailed("no", "GENERATION_FAILED", "t")).model_dump_json()
REQUEST = '{"type": "animate", "labels": {"customer": "seven", "batch": "nine"}}'


def view(**fields: str) -> View:
    return View.of(JobRecord("id", {"stage": "delivered", "request": REQUEST, "outcome": FAILED, **fields}, None, None))


FAILED_AN_HOUR_AGO = view(settled_at_ms=str(NOW_MS - 3_600_000))


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("3d", 259_200)]
)
def test_a_time_is_read_in_its_unit(text: str, seconds: float) -> None:
    assert read_age(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-1", "1w", "1h30m", " 1"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a time"):
        read_age(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(-5, "0s"), (999, "0s"), (61_000, "1m 1s"), (3_660_000, "1h 1m"), (90_000_000, "1d 1h")],
)
def test_a_duration_is_shown_in_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert format_duration(milliseconds) == text


@pytest.mark.parametrize(
    ("wanted", "is_taken"),
    [
        (Filter(("failed",)), True),
        (Filter(("waiting", "running")), False),
        (Filter(("failed",), older_than_seconds=3600), True),
        (Filter(("failed",), older_than_seconds=3601), False),
        (Filter(("failed",), labels=(("customer", "seven"),)), True),
        (Filter(("failed",), labels=(("customer", "seven"), ("batch", "ten"))), False),
        (Filter(("failed",), labels=(("nobody", ""),)), False),
        (Filter(("failed",), error="GenerationFailed"), True),
        (Filter(("failed",), error="SubmissionUnknown"), False),
    ],
)
def test_a_job_is_meant_only_if_everything_fits(wanted: Filter, *, is_taken: bool) -> None:
    assert wanted.takes(FAILED_AN_HOUR_AGO, NOW_MS) is is_taken


def test_a_line_tells_state_age_error_task_and_labels() -> None:
    assert FAILED_AN_HOUR_AGO.line(NOW_MS).split() == [
        *("id", "failed", "for", "1h", "0m", "GenerationFailed", "customer=seven", "batch=nine")
    ]


def test_an_admitted_job_is_as_old_as_its_slot() -> None:
    record = JobRecord("id", {"stage": "waiting", "waiting_at_ms": "1000"}, None, 5000)
    assert View.of(record).since_ms == 5000


def test_a_parked_job_shows_when_it_is_retried_and_why() -> None:
    fields = {"stage": "waiting", "request": REQUEST, "waiting_at_ms": "1000", "history": "2000 waiting refused"}
    view = View.of(JobRecord("id", fields, None, None, parked_until_ms=NOW_MS + 12_000))
    assert "parked, retried in 12s (refused)" in view.line(NOW_MS)
    assert view.facts(NOW_MS)["parked_seconds"] == 12.0


def test_a_history_begins_with_the_recording_and_keeps_every_cause_in_one_piece() -> None:
    fields = {"waiting_at_ms": "1000", "history": "2000 unknown read timeout, so\u2028much\n3000 waiting "}
    assert read_history(fields) == [
        Transition(1000, "waiting", "recorded"),
        Transition(2000, "unknown", "read timeout, so\u2028much"),
        Transition(3000, "waiting", ""),
    ]
    assert read_history({}) == []
