"""Tags in a prompt that ask the simulator for an answer or an end."""

import re
from typing import NamedTuple

from .refusals import RefusedError, forbidden, refused_with

#: A prompt that holds this text ends in CONTENT_VIOLATION.
_VIOLATION = "[violation]"
#: A prompt that holds this text ends in GENERATION_FAILED.
_FAIL = "[fail]"
#: Answered 400, as the vendor may for reasons that its document does not have.
REJECT = "[reject]"
#: Answered by the page of a web application firewall.
WAF = "[waf]"
#: The first task of a prompt with this text is accepted, and its submission gets no answer.
_LOST = "[lost]"
#: `[code:CODE]` ends the task with that code, `[code:CODE*2]` the first two tasks of the marker.
_CODE = re.compile(r"\[code:(?P<code>[^\]*\s]+)(?:\*(?P<times>\d{1,6}))?\]")
#: `[refuse:CODE]` is answered 400 with that code, `[refuse:CODE@403]` 403.
_REFUSE = re.compile(r"\[refuse:(?P<code>[^\]@\s]+)(?:@(?P<status>[45]\d\d))?\]")
#: `[forbidden]` is answered 403 in the envelope without a code, `[forbidden:TEXT]` with that message.
_FORBIDDEN = re.compile(r"\[forbidden(?::(?P<message>[^\]]+))?\]")
_BAD_REQUEST = 400


class AskedFailure(NamedTuple):
    """A failure that a prompt asks for.

    Args:
        code: the task's `failCode`.
        times: how many tasks of the marker end so; None for all.
    """

    code: str
    times: int | None = None


def asked_failure(prompt: str | None) -> AskedFailure | None:
    """Return the failure that a prompt asks its tasks to end in."""
    if prompt is None:
        return None
    if tag := _CODE.search(prompt):
        return AskedFailure(tag["code"], int(tag["times"]) if tag["times"] else None)
    if _VIOLATION in prompt:
        return AskedFailure("CONTENT_VIOLATION")
    return AskedFailure("GENERATION_FAILED") if _FAIL in prompt else None


def asks_to_lose_answer(prompt: str | None, attempt: int) -> bool:
    """Return whether a prompt asks that the submission of this task gets no answer.

    Args:
        attempt: counts the accepted tasks of the marker, from 1; only the first is lost, so a retry succeeds.
    """
    return prompt is not None and attempt == 1 and _LOST in prompt


def asked_refusal(prompt: str | None) -> RefusedError | None:
    """Return what a prompt asks its submission to be answered instead of being accepted."""
    if prompt is None:
        return None
    if tag := _FORBIDDEN.search(prompt):
        return forbidden(tag["message"])
    if tag := _REFUSE.search(prompt):
        return refused_with(tag["code"], int(tag["status"] or _BAD_REQUEST))
    return None
