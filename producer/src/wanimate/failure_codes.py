"""The vendor's failure codes: what each means, and what the caller can do. The one table of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["CODES", "FailureCode", "FailureKind", "failure_of"]


class FailureKind(StrEnum):
    """What a failure code concerns."""

    #: The content of a request or of its result.
    CONTENT = "content"
    #: The prompt of a request.
    PROMPT = "prompt"
    #: The image or the video of a request.
    INPUT = "input"
    #: The vendor, for the moment.
    TRANSIENT = "transient"
    #: The account, not the job.
    ACCOUNT = "account"
    #: No cause is given.
    GENERIC = "generic"
    #: The vendor documents no such code.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FailureCode:
    """One failure code.

    Args:
        code: As it came, or as the vendor's documents spell it.
        kind: What it concerns.
        field: The field of the request that is wrong, where the code alone tells.
        meaning: What happened.
        advice: What the caller can do.
    """

    code: str
    kind: FailureKind
    field: str | None
    meaning: str
    advice: str


_CONTENT: Final = "change the content: the same request is refused again"
_RETRY: Final = "the vendor says: retry. Set retry_transient, or enqueue again under a new key"

#: Every code that the vendor's pages name, in their spellings. The list is not closed.
CODES: Final = (
    FailureCode("CONTENT_VIOLATION", FailureKind.CONTENT, None, "the content breaks the vendor's rules", _CONTENT),
    FailureCode("NSFW_DETECTED", FailureKind.CONTENT, None, "the content is not safe for work", _CONTENT),
    FailureCode("NSFW", FailureKind.CONTENT, None, "the content is not safe for work", _CONTENT),
    FailureCode("SensitiveContent", FailureKind.CONTENT, None, "the content is sensitive", _CONTENT),
    FailureCode("SensitiveContentDetected", FailureKind.CONTENT, None, "the content is sensitive", _CONTENT),
    FailureCode(
        "InputImageSensitiveContentDetected", FailureKind.CONTENT, "image_url", "the image is sensitive", _CONTENT
    ),
    FailureCode(
        "InputOutputSensitiveContentDetected", FailureKind.CONTENT, None, "an input or the video is sensitive", _CONTENT
    ),
    FailureCode("ProhibitedContentDetected", FailureKind.CONTENT, None, "the content is prohibited", _CONTENT),
    FailureCode("PROMPT_TOO_LONG", FailureKind.PROMPT, "prompt", "the prompt is too long", "shorten the prompt"),
    FailureCode("PromptLengthExceeded", FailureKind.PROMPT, "prompt", "the prompt is too long", "shorten the prompt"),
    FailureCode("INVALID_PROMPT", FailureKind.PROMPT, "prompt", "the prompt is not accepted", "change the prompt"),
    FailureCode(
        "INVALID_IMAGE_URL",
        FailureKind.INPUT,
        "image_url",
        "the URL of the image is not accepted",
        "give a public URL of an image",
    ),
    FailureCode("IMAGE_TOO_LARGE", FailureKind.INPUT, "image_url", "the image is too large", "give a smaller image"),
    FailureCode(
        "UNSUPPORTED_FORMAT",
        FailureKind.INPUT,
        None,
        "the image or the video has a format that is not supported",
        "convert it; the message may say which of the two",
    ),
    FailureCode(
        "IMAGE_DOWNLOAD_FAILED",
        FailureKind.INPUT,
        "image_url",
        "the vendor could not download the image",
        "check that the URL is public; if it is, enqueue again under a new key",
    ),
    FailureCode("PROCESSING_TIMEOUT", FailureKind.TRANSIENT, None, "the vendor took too long", _RETRY),
    FailureCode("MODEL_UNAVAILABLE", FailureKind.TRANSIENT, None, "the model was not available", _RETRY),
    FailureCode(
        "INSUFFICIENT_CREDITS",
        FailureKind.ACCOUNT,
        None,
        "the account has too little credit",
        "an operator adds credit; jobs wait until then",
    ),
    FailureCode(
        "GENERATION_FAILED",
        FailureKind.GENERIC,
        None,
        "the vendor could not make the video",
        "enqueue again under a new key, perhaps with other input",
    ),
)


def _plain(code: str) -> str:
    """Return a code without what differs between its spellings: case, underscores, hyphens and spaces."""
    return re.sub(r"[\s_-]", "", code).casefold()


_BY_CODE: Final = {_plain(each.code): each for each in CODES}


def failure_of(code: str | None) -> FailureCode:
    """Return what a failure code means; one that is not documented is of the kind `UNKNOWN`.

    Args:
        code: As it came from the vendor, in any spelling; None if it gave none.
    """
    given = code or ""
    known = _BY_CODE.get(_plain(given))
    if known is None:
        meaning = "the vendor documents no such code" if given else "the vendor gave no code"
        return FailureCode(given, FailureKind.UNKNOWN, None, meaning, "read the message")
    return FailureCode(given, known.kind, known.field, known.meaning, known.advice)
