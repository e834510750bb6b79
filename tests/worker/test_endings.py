"""How failure codes of the vendor read as the errors of a job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from wanimate.contract import Outcome, Result
from wanimate.errors import ContentViolation, GenerationFailed, InvalidRequest, JobFailed
from wanimate.failure_codes import CODES, FailureKind
from wanimate_worker.engine.verdicts import ending_of, proven_refusal_of, refusal_of, wants_credit
from wanimate_worker.reference import failure_codes_page
from wanimate_worker.vendor import Failed, Refused, Rejected, StatusAnswer, Succeeded

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BEGUN_AT_MS = round((NOW - timedelta(minutes=2)).timestamp() * 1000)
OF_THE_REQUEST = {FailureKind.CONTENT, FailureKind.PROMPT, FailureKind.INPUT}


def ended(answer: StatusAnswer) -> Outcome | None:
    now_ms = round(NOW.timestamp() * 1000)
    return ending_of(answer, "task_1", now_ms=now_ms, begun_at_ms=BEGUN_AT_MS, ttl_seconds=3600)


def failed(code: str | None, message: str = "no") -> JobFailed:
    outcome = ended(Failed(code, message))
    assert outcome is not None
    return Outcome.model_validate_json(outcome.model_dump_json()).exception()


@pytest.mark.parametrize(
    ("code", "expected", "field"),
    [
        ("CONTENT_VIOLATION", ContentViolation, None),
        ("nsfwDetected", ContentViolation, None),
        ("InputImageSensitiveContentDetected", ContentViolation, "image_url"),
        ("PromptLengthExceeded", InvalidRequest, "prompt"),
        ("IMAGE_DOWNLOAD_FAILED", InvalidRequest, "image_url"),
        ("UNSUPPORTED_FORMAT", InvalidRequest, None),
        ("MODEL_UNAVAILABLE", GenerationFailed, None),
        ("GENERATION_FAILED", GenerationFailed, None),
        ("SomethingNew", GenerationFailed, None),
        (None, GenerationFailed, None),
    ],
)
def test_a_failed_task_ends_its_job_as_its_code_says(code: str | None, expected: type, field: str | None) -> None:
    error = failed(code)
    assert (type(error), error.code, error.task_id, error.field) == (expected, code, "task_1", field)


@pytest.mark.parametrize("code", [each.code for each in CODES if each.kind in OF_THE_REQUEST])
def test_a_code_means_the_same_in_a_refusal_and_in_a_failed_task(code: str) -> None:
    at_once, later = refusal_of(Rejected(code, "no")), failed(code)
    assert (type(at_once), at_once.code, at_once.field) == (type(later), later.code, later.field)
    assert at_once.task_id is None


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("unsupported image type", "image_url"),
        ("image_urls[0]: not a JPEG", "image_url"),
        ("The VIDEO is no MP4", "video_url"),
        ("input.video_urls: unsupported codec", "video_url"),
        ("neither image nor video could be read", None),
        ("unsupported format", None),
        ("reimaged", None),
    ],
)
def test_a_format_names_a_field_only_if_the_words_name_one(message: str, field: str | None) -> None:
    assert failed("UNSUPPORTED_FORMAT", message).field == field
    assert refusal_of(Rejected("UnsupportedFormat", message)).field == field


def test_any_other_refusal_is_an_invalid_request() -> None:
    for code in ("400", "TEAPOT"):
        error = refusal_of(Rejected(code, "no"))
        assert (type(error), error.code) == (InvalidRequest, code)
        assert error.message == "the vendor refused the request: no"


def test_a_refusal_whose_words_speak_of_the_content_is_a_content_violation() -> None:
    error = refusal_of(Rejected("403", "content policy", is_content=True))
    assert (type(error), error.code) == (ContentViolation, "403")


@pytest.mark.parametrize(
    ("code", "expected"),
    [("403", InvalidRequest), ("SomethingNew", InvalidRequest), ("ModelUnavailable", GenerationFailed)],
)
def test_a_job_that_was_refused_while_others_got_through_says_what_was_seen(code: str, expected: type) -> None:
    error = proven_refusal_of(Refused(code, "Forbidden"), 3)
    assert (type(error), error.code, error.task_id) == (expected, code, None)
    assert error.message.startswith(f"refused 3 times with {code} (Forbidden), while other jobs were accepted")
    assert "nothing is billed" in error.message


def test_want_of_credit_ends_no_job() -> None:
    assert wants_credit(Failed("InsufficientCredits", "no"))
    assert not wants_credit(Failed("GENERATION_FAILED", "no"))


def test_the_page_of_failure_codes_is_the_one_the_code_makes() -> None:
    page = (ROOT / "docs" / "reference" / "failure-codes.md").read_text()
    assert page == failure_codes_page(), "run `make docs`"


@pytest.mark.parametrize(
    ("completed_at", "counted_from"),
    [
        (NOW - timedelta(seconds=30), NOW - timedelta(seconds=30)),
        (NOW - timedelta(minutes=2, seconds=50), NOW - timedelta(minutes=2, seconds=50)),
        (None, NOW),
        (NOW + timedelta(days=3), NOW),
        (NOW - timedelta(hours=8), NOW),
        (datetime(1970, 1, 21, tzinfo=UTC), NOW),
        (datetime.max.replace(tzinfo=UTC), NOW),
        (datetime.min.replace(tzinfo=UTC), NOW),
    ],
    ids=["completion", "clock behind", "unknown", "future", "time zone", "wrong unit", "last year", "first year"],
)
def test_urls_expire_after_the_completion_where_that_makes_sense(
    completed_at: datetime | None, counted_from: datetime
) -> None:
    result = Result(urls=("https://example.com/v.mp4",), task_id="task_1", completed_at=completed_at)
    outcome = ended(Succeeded(result))
    assert outcome is not None
    assert outcome.result == result.model_copy(update={"urls_expire_at": counted_from + timedelta(hours=1)})
