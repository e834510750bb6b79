"""The vendor's documented failure codes, as its pages spell them."""

from types import MappingProxyType

#: Refused content. Source: the vendor's error pages, like all below.
_CONTENT = {
    "CONTENT_VIOLATION": "Content violates safety guidelines",
    "NSFW_DETECTED": "NSFW content was detected",
    "NSFW": "NSFW content was detected",
    "SensitiveContent": "Sensitive content",
    "SensitiveContentDetected": "Sensitive content was detected",
    "InputImageSensitiveContentDetected": "Sensitive content was detected in the input image",
    "InputOutputSensitiveContentDetected": "Sensitive content was detected in the input or the output",
    "ProhibitedContentDetected": "Prohibited content was detected",
}
#: A wrong prompt or wrong media.
_INPUT = {
    "PROMPT_TOO_LONG": "The prompt is too long",
    "INVALID_PROMPT": "The prompt is invalid",
    "PromptLengthExceeded": "The prompt is too long",
    "INVALID_IMAGE_URL": "The image URL is invalid",
    "IMAGE_TOO_LARGE": "The image is too large",
    "UNSUPPORTED_FORMAT": "The format is not supported",
}
#: What the same request, sent again, may not meet again.
_BY_CHANCE = {
    "IMAGE_DOWNLOAD_FAILED": "The image could not be downloaded",
    "PROCESSING_TIMEOUT": "Processing took too long",
    "MODEL_UNAVAILABLE": "The model is temporarily unavailable",
    "GENERATION_FAILED": "Video generation failed",
    "INSUFFICIENT_CREDITS": "The balance is insufficient",
}

#: Every documented code and its message.
FAIL_CODES = MappingProxyType({**_CONTENT, **_INPUT, **_BY_CHANCE})

_LASTING = frozenset({*_CONTENT, *_INPUT})


def message_of(code: str) -> str:
    """Return the `failMsg` of a code, documented or not."""
    return FAIL_CODES.get(code, "The task failed")


def is_lasting(code: str) -> bool:
    """Tell whether the same request would meet the same failure again."""
    return code in _LASTING
