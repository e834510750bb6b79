"""The body of a callback: bounded, and good for one thing only, a task id to ask the vendor about."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import ClientDisconnect

if TYPE_CHECKING:
    from starlette.requests import Request

#: A callback is a status answer of a few hundred bytes (vendor document, "Response"); a larger body is not read to
#: its end.
MAX_BODY_BYTES: Final = 64 * 1024
#: A body that takes longer to arrive is given up, in seconds.
BODY_TIMEOUT_SECONDS: Final = 5.0
#: What a task id may look like; the vendor's example is `task_12345678`.
_TASK_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class BodyTooLarge(Exception):
    """The body is longer than `MAX_BODY_BYTES`."""


class BodyCutOff(Exception):
    """The body did not arrive whole and in time."""


async def read_body(request: Request) -> bytes:
    """Return the body.

    Raises:
        BodyTooLarge: It is too long; no more of it than the limit was read.
        BodyCutOff: It did not arrive whole and in time.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > MAX_BODY_BYTES:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                body += chunk[: MAX_BODY_BYTES + 1]
                if len(body) > MAX_BODY_BYTES:
                    raise BodyTooLarge
    except (TimeoutError, ClientDisconnect):
        raise BodyCutOff from None
    return bytes(body)


def named_task(body: bytes) -> str:
    """Return the task id that a callback names, or nothing if it names none that could be one.

    Args:
        body: A status answer in the vendor's envelope, or anything else.
    """
    try:
        answer: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    data = answer.get("data") if isinstance(answer, dict) else None
    task_id = data.get("taskId") if isinstance(data, dict) else None
    return task_id if isinstance(task_id, str) and _TASK_ID.fullmatch(task_id) else ""
