"""Tags in a prompt that ask the simulator for an answer or an end."""

import re
from typing import NamedTuple

#: A prompt that holds this text ends in CONTENT_VIOLATION.
_VIOLATION = "[violation]"
#: A prompt that holds this text ends in GENERATION_FAILED.
_FAIL = "[fail]"
#: Answered 400, as the vendor may for reasons that its document does not have.
REJECT = "[reject]"
#: Answered 403 in the envelope, with no more than "Forbidden".
FORBIDDEN = "[forbidden]"
#: Answered by the page of a web application firewall.
WAF = "[waf]"
#: `[code:CODE]` ends the task with that code, `[code:CODE*2]` the first two tasks of the marker.
_CODE = re.compile(r"\[code:(?P<code>[^\]*\s]+)(?:\*(?P<times>\d{1,6}))?\]")
#: `[refuse:CODE]` is answered 400 with that code.
_REFUSE = re.compile(r"\[refuse:([^\]\s]+)\]")


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


def asked_refusal(prompt: str | None) -> str | None:
    """Return the failure code that a prompt asks its submission to be refused with."""
    tag = _REFUSE.search(prompt or "")
    return tag[1] if tag else None
