"""The vendor's failure codes: what each means, and what the caller can do. The one table of them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple


class FailureKind(StrEnum):
    """What a failure code concerns."""

    CONTENT = "content"  # of a request or of its result
    PROMPT = "prompt"
    INPUT = "input"  # the image or the video of a request
    TRANSIENT = "transient"  # the vendor, for the moment
    ACCOUNT = "account"  # not the job
    GENERIC = "generic"  # no cause is given
    UNKNOWN = "unknown"  # the vendor documents no such code


class FailureCode(NamedTuple):
    """One failure code."""

    #: As it came, or as the vendor's documents spell it.
    code: str
    kind: FailureKind
    #: The field of the request that is wrong, where the code alone tells.
    field: str | None
    meaning: str
    #: What the caller can do.
    advice: str


_CONTENT: Final = "change the content: the same request is refused again"
_CONVERT: Final = "convert it; the message may say which of the two"
_CHECK: Final = "check that the URL is public; if it is, enqueue again under a new key"
_CREDIT: Final = "an operator adds credit; jobs wait until then"
_AGAIN: Final = "enqueue again under a new key, perhaps with other input"
_RETRY: Final = "the vendor says: retry. Set retry_transient, or enqueue again under a new key"

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
        ("INVALID_PROMPT", "prompt", "the prompt is not accepted", "change the prompt"),
    ],
    FailureKind.INPUT: [
        ("INVALID_IMAGE_URL", "image_url", "the URL of the image is not accepted", "give a public URL of an image"),
        ("IMAGE_TOO_LARGE", "image_url", "the image is too large", "give a smaller image"),
        ("UNSUPPORTED_FORMAT", None, "the image or the video has a format that is not supported", _CONVERT),
        ("IMAGE_DOWNLOAD_FAILED", "image_url", "the vendor could not download the image", _CHECK),
    ],
    FailureKind.TRANSIENT: [
        ("PROCESSING_TIMEOUT", None, "the vendor took too long", _RETRY),
        ("MODEL_UNAVAILABLE", None, "the model was not available", _RETRY),
    ],
    FailureKind.ACCOUNT: [("INSUFFICIENT_CREDITS", None, "the account has too little credit", _CREDIT)],
    FailureKind.GENERIC: [("GENERATION_FAILED", None, "the vendor could not make the video", _AGAIN)],
}
#: Every code that the vendor's pages name, in their spellings. The list is not closed.
CODES: Final = tuple(
    FailureCode(code, kind, field, meaning, advice)
    for kind, codes in _BY_KIND.items()
    for code, field, meaning, advice in codes
)


def _plain(code: str) -> str:
    """Return a code without what differs between its spellings: case, underscores, hyphens and spaces."""
    return re.sub(r"[\s_-]", "", code).casefold()


_BY_CODE: Final = {_plain(each.code): each for each in CODES}


def failure_of(code: str | None) -> FailureCode:
    """Return what a failure code means, in any spelling; one that is not documented is of the kind `UNKNOWN`."""
    known = _BY_CODE.get(_plain(code or ""))
    if known is not None:
        return known._replace(code=code or "")
    meaning = "the vendor documents no such code" if code else "the vendor gave no code"
    return FailureCode(code or "", FailureKind.UNKNOWN, None, meaning, "read the message")
