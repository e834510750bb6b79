from __future__ import annotations

import pytest
from wanimate.errors import GenerationFailed
from wanimate.failure_codes import CODES, FailureKind, failure_of


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("CONTENT_VIOLATION", FailureKind.CONTENT),
        ("NSFW", FailureKind.CONTENT),
        ("SensitiveContentDetected", FailureKind.CONTENT),
        ("INVALID_PROMPT", FailureKind.PROMPT),
        ("PromptLengthExceeded", FailureKind.PROMPT),
        ("UNSUPPORTED_FORMAT", FailureKind.INPUT),
        ("PROCESSING_TIMEOUT", FailureKind.TRANSIENT),
        ("INSUFFICIENT_CREDITS", FailureKind.ACCOUNT),
        ("GENERATION_FAILED", FailureKind.GENERIC),
        ("SOMETHING_NEW", FailureKind.UNKNOWN),
        ("", FailureKind.UNKNOWN),
        (None, FailureKind.UNKNOWN),
    ],
)
def test_a_code_has_a_kind(code: str | None, kind: FailureKind) -> None:
    assert failure_of(code).kind is kind


@pytest.mark.parametrize("code", [each.code for each in CODES])
def test_a_code_means_the_same_in_every_spelling(code: str) -> None:
    known = failure_of(code)
    plain = known.code.replace("_", "")
    for spelling in (plain, plain.lower(), known.code.lower(), f" {known.code} ", "_".join(plain)):
        other = failure_of(spelling)
        assert (other.kind, other.field, other.meaning) == (known.kind, known.field, known.meaning)
        assert other.code == spelling, "a code is kept as it came"


def test_no_code_is_in_the_table_twice() -> None:
    assert len({each.code.replace("_", "").lower() for each in CODES}) == len(CODES)


def test_only_what_the_vendor_says_to_retry_is_transient() -> None:
    codes = ("ModelUnavailable", "GENERATION_FAILED", "CONTENT_VIOLATION", None)
    assert [GenerationFailed("", code).is_transient for code in codes] == [True, False, False, False]
