"""Why a copy failed: each message is one line for the operator, without queries of URLs, which may be signatures."""

from __future__ import annotations

import re
from typing import Final

from wanimate.text import one_line

_QUERY: Final = re.compile(r"\?[^\s'\")]*")
_MAX_CHARACTERS: Final = 300


class CopyFailed(Exception):
    """A video was not copied; the copy is tried again."""


class SourceFailed(CopyFailed):
    """The vendor did not serve the video, or not to its end."""


class Truncated(CopyFailed):
    """The body ended before the video did."""


class NotAVideo(CopyFailed):
    """The body is something else: an error page, JSON, nothing."""


class TooLarge(CopyFailed):
    """The video is larger than `WANIMATE_KEEP_MAX_BYTES`: its job ends at once, with the vendor's URL."""


class StoreFailed(CopyFailed):
    """The store did not take the video."""


class Stopping(CopyFailed):
    """This process stops; another one makes the copy."""


def brief(text: str) -> str:
    """Return the first line of another library's message, bounded, without queries of URLs."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return one_line(_QUERY.sub("", first))[:_MAX_CHARACTERS]
