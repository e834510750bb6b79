"""What is learnt from a task that has ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from wanimate.contract import Result, Stage
from wanimate_worker.engine.verdicts import observe
from wanimate_worker.ledger import JobFields, Observation
from wanimate_worker.vendor import Failed, Pending, StatusAnswer, Succeeded, Unreadable

NOW_MS = 1_795_000_000_000
CREATED = datetime(2026, 1, 9, tzinfo=UTC)


def job(submitted_ago_ms: int | None) -> JobFields:
    values: dict[str, Any] = {}
    values |= {"stage": Stage.RUNNING.value, "task_id": "task", "request": '{"type": "replace", "resolution": "720p"}'}
    if submitted_ago_ms is not None:
        values["submitted_at_ms"] = str(NOW_MS - submitted_ago_ms)
    return JobFields.of("id", list(values), list(values.values()))


def succeeded(seconds: float | None) -> Succeeded:
    completed = None if seconds is None else CREATED + timedelta(seconds=seconds)
    return Succeeded(
        Result(urls=("https://example.com/v.mp4",), task_id="task", created_at=CREATED, completed_at=completed)
    )


COMPLETED_MS = round((CREATED.timestamp() + 41.388) * 1000)


@pytest.mark.parametrize("answer", [succeeded(41.388), Failed("X", "", CREATED, CREATED + timedelta(seconds=41.388))])
@pytest.mark.parametrize("noticed_after_ms", [41_000, 43_000, 600_000])
def test_the_vendors_own_duration_counts_whenever_it_was_noticed(answer: StatusAnswer, noticed_after_ms: int) -> None:
    assert observe(job(noticed_after_ms), answer, NOW_MS) == Observation("replace:720p", 41.388, COMPLETED_MS)


@pytest.mark.parametrize("said", [None, 0.0, -5.0, 0.041, 41_388.0])
def test_a_duration_that_is_missing_or_in_another_unit_is_replaced_by_what_was_seen(said: float | None) -> None:
    assert observe(job(43_000), succeeded(said), NOW_MS) == Observation("replace:720p", 43.0)


@pytest.mark.parametrize("answer", [Pending("processing"), Unreadable("no")])
def test_a_task_that_has_not_ended_teaches_nothing(answer: StatusAnswer) -> None:
    assert observe(job(43_000), answer, NOW_MS) is None


def test_a_task_whose_begin_is_not_known_teaches_nothing() -> None:
    assert observe(job(None), succeeded(41.0), NOW_MS) is None
