"""Results: until when their URLs are served, whoever has stored them."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta

import pytest
from wanimate import ResultExpired
from wanimate.contract import Outcome, Result

URLS = ("https://example.com/v.mp4",)
LONG_AGO = datetime(2026, 1, 9, 10, 0, 41, tzinfo=UTC)


def test_a_result_of_an_older_version_expires_a_day_after_its_completion() -> None:
    old = Result.model_validate({"urls": list(URLS), "task_id": "t", "completed_at": "2026-01-09T10:00:41Z"})
    assert old.urls_expire_at == LONG_AGO + timedelta(days=1)
    assert old.is_expired


def test_a_result_that_does_not_say_when_it_was_completed_does_not_expire() -> None:
    unknown = Result.model_validate({"urls": list(URLS), "task_id": "t"})
    assert (unknown.urls_expire_at, unknown.is_expired) == (None, False)


@pytest.mark.parametrize("left", [-1, 60])
def test_a_result_is_expired_from_the_moment_that_it_names(left: float) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=left)
    result = Result(urls=URLS, task_id="t", completed_at=LONG_AGO, urls_expire_at=moment)
    assert (result.urls_expire_at, result.is_expired) == (moment, left < 0)


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59"])
def test_a_nonsensical_time_stamp_costs_no_video(stamp: str) -> None:
    result = Result.model_validate({"urls": list(URLS), "task_id": "t", "completed_at": stamp})
    assert (result.urls, result.urls_expire_at, result.is_expired) == (URLS, None, False)


def test_a_moment_without_a_time_zone_is_utc() -> None:
    old = Result.model_validate({"urls": list(URLS), "task_id": "t", "completed_at": "2026-01-09T10:00:41"})
    assert old.urls_expire_at == LONG_AGO + timedelta(days=1)
    assert old.is_expired


def test_the_expiry_survives_celery_the_ledger_and_a_pickle() -> None:
    result = Result(urls=URLS, task_id="t", urls_expire_at=LONG_AGO)
    assert Result.model_validate(result.to_json()) == result
    assert Outcome.model_validate_json(Outcome.success(result).model_dump_json(exclude_none=True)).result == result
    error = pickle.loads(pickle.dumps(ResultExpired.of("job-1", result)))
    assert (error.result, str(error)) == (result, str(ResultExpired.of("job-1", result)))
