"""What the vendor answers."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import orjson

from .refusals import RefusedError
from .task import Task

#: The content type of a page.
HTML = b"text/html"


class Stream(NamedTuple):
    """A body that is sent piece by piece.

    Args:
        chunks: the bytes, made as they are sent.
        size_bytes: what Content-Length says, or None for an answer without one.
        is_cut: whether the connection closes after the last chunk, though the answer is not complete.
        bytes_per_second: real pace, or None for as fast as the client reads.
    """

    chunks: Iterator[bytes]
    size_bytes: int | None
    is_cut: bool = False
    bytes_per_second: int | None = None


class Answer(NamedTuple):
    """An HTTP answer to send.

    Args:
        code: HTTP status.
        body: the bytes, or None to close the connection without an answer, unless there is a stream.
        headers: further headers.
        delay_seconds: real seconds to hold it back.
        content_type: of the body.
        accepted: the task it tells the acceptance of.
        stream: a body to send piece by piece.
    """

    code: int
    body: bytes | None
    headers: tuple[tuple[bytes, bytes], ...] = ()
    delay_seconds: float = 0.0
    content_type: bytes = b"application/json"
    accepted: Task | None = None
    stream: Stream | None = None


def envelope(
    data: Mapping[str, object] | float | None, *, code: int = 200, message: str = "success"
) -> dict[str, object]:
    """Return the envelope every answer comes in. Source: the vendor's page, "Response"."""
    return {"code": code, "message": message, "data": data}


def encoded(answer: Mapping[str, object]) -> bytes:
    """Return an envelope as JSON."""
    return orjson.dumps(answer)


def refusal(refused: RefusedError, headers: tuple[tuple[bytes, bytes], ...], delay_seconds: float) -> Answer:
    """Return an error answer: the envelope, or the page that came in its place."""
    if refused.page is not None:
        return Answer(refused.code, refused.page, headers, delay_seconds, HTML)
    body = encoded(envelope(refused.data, code=refused.code, message=refused.message))
    return Answer(refused.code, body, headers, delay_seconds)
