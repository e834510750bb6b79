"""The vendor's failure codes, their meanings, and what the caller can do."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple


class FailureKind(StrEnum):
    """The subject of a failure code."""

    CONTENT = "content"  # of a request or of its result
    PROMPT = "prompt"
    INPUT = "input"  # the image or the video of a request
    TRANSIENT = "transient"  # a temporary problem of the vendor
    ACCOUNT = "account"  # not the job
    GENERIC = "generic"  # without a cause
    UNKNOWN = "unknown"  # not documented by the vendor


class FailureCode(NamedTuple):
    """One failure code."""

    #: As the vendor sent it or documents it.
    code: str
    kind: FailureKind
    #: The invalid field of the request, if the code implies one.
    field: str | None
    meaning: str
    #: What the caller can do.
    advice: str


_CONTENT: Final = "change the content: the same request is refused again"
_CONVERT: Final = "convert the file; the message may name it"
_CHECK: Final = "check that the URL is public, then enqueue again with a new key"
_CREDIT: Final = "add credit; jobs wait until then"
_AGAIN: Final = "enqueue again with a new key, perhaps with other input"
_RETRY: Final = "set retry_transient, or enqueue again with a new key"

_BY_KIND: Final[dict[FailureKind, list[tuple[str, str | None, str, str]]]] = {
    FailureKind.CONTENT: [
        ("CONTENT_VIOLATION", None, "the content breaks the vendor's rules", _CONTENT),
        ("NSFW_DETECTED", None, "the content is not safe for work", _CONTENT),
        ("NSFW", None, "the content is not safe for work", _CONTENT),
        ("SensitiveContent", None, "the content is sensitive", _CONTENT),
        ("SensitiveContentDetected", None, "the content is sensitive", _CONTENT),
        ("InputImageSensitiveContentDetected", "image_url", "the image is sensitive", _CONTENT),
        ("InputOutputSensitiveContentDetected", None, "an input or the video is sensitive", _CONTENT),
        ("ProhibitedContentDetected", None, "the content is prohibited", _CONTENT),
    ],
    FailureKind.PROMPT: [
        ("PROMPT_TOO_LONG", "prompt", "the prompt is too long", "shorten the prompt"),
        ("PromptLengthExceeded", "prompt", "the prompt is too long", "shorten the prompt"),
        ("INVALID_PROMPT", "prompt", "the vendor did not accept the prompt", "change the prompt"),
    ],
    FailureKind.INPUT: [
        ("INVALID_IMAGE_URL", "image_url", "the vendor did not accept the URL of the image", "use a public image URL"),
        ("IMAGE_TOO_LARGE", "image_url", "the image is too large", "use a smaller image"),
        ("UNSUPPORTED_FORMAT", None, "the format of the image or the video is not supported", _CONVERT),
        ("IMAGE_DOWNLOAD_FAILED", "image_url", "the vendor could not download the image", _CHECK),
    ],
    FailureKind.TRANSIENT: [
        ("PROCESSING_TIMEOUT", None, "the vendor timed out", _RETRY),
        ("MODEL_UNAVAILABLE", None, "the model was not available", _RETRY),
    ],
    FailureKind.ACCOUNT: [("INSUFFICIENT_CREDITS", None, "the account has too little credit", _CREDIT)],
    FailureKind.GENERIC: [("GENERATION_FAILED", None, "the vendor failed to render the video", _AGAIN)],
}
#: Every code in the vendor's pages, as they spell it; the vendor may send others.
CODES: Final = tuple(
    FailureCode(code, kind, field, meaning, advice)
    for kind, codes in _BY_KIND.items()
    for code, field, meaning, advice in codes
)


def _plain(code: str) -> str:
    """Return a code without case, underscores, hyphens and spaces, which differ between spellings."""
    return re.sub(r"[\s_-]", "", code).casefold()


_BY_CODE: Final = {_plain(each.code): each for each in CODES}


def failure_of(code: str | None) -> FailureCode:
    """Return the meaning of a failure code in any spelling; the kind of an undocumented one is `UNKNOWN`."""
    known = _BY_CODE.get(_plain(code or ""))
    if known is not None:
        return known._replace(code=code or "")
    meaning = "the vendor documents no such code" if code else "the vendor gave no code"
    return FailureCode(code or "", FailureKind.UNKNOWN, None, meaning, "read the message")
