"""What a refusal means: for the job, for the account, or for neither. `docs/refusals.md` has the rule as a table."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from wanimate.failure_codes import FailureKind, failure_of

from .answers import NotSent, Obstacle, Refused, Rejected, Throttled, Unauthorised
from .envelope import is_success, parse, parse_retry_after, tells_concurrency

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from .envelope import Envelope


#: What a task id may look like; the vendor's example is `task_12345678`.
_TASK_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: The name of a task's id, in lower case and without underscores.
_TASK_ID_NAME: Final = "taskid"
#: In a text that is no JSON, cut short for example.
_IN_TEXT: Final = re.compile(rb'"task_?[iI][dD]"\s*:\s*"?([A-Za-z0-9._:-]{1,128})["\s,}]')
_MAX_DEPTH: Final = 4


def task_hint(body: bytes, *, is_success: bool) -> str:
    """Return the task id that a body shows somewhere, or nothing.

    Args:
        body: The body of an answer to a submission, or the part of it that could be read.
        is_success: Whether an id without a better name may be a task's; in an error it is rather that of the request.
    """
    if not body:
        return ""
    try:
        answer = parse(body)
    except ValueError:
        found = _IN_TEXT.search(body)
        return found[1].decode() if found else ""
    named = list(_named(answer, _MAX_DEPTH))
    names = (_TASK_ID_NAME, "id") if is_success else (_TASK_ID_NAME,)
    return next((task_id for wanted in names for name, task_id in named if name == wanted), "")


def _named(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Yield names, in lower case and without underscores, and the ids they name, the outer ones first."""
    if depth == 0 or not isinstance(value, dict | list):
        return
    pairs = list(value.items()) if isinstance(value, dict) else [("", each) for each in value]
    for name, each in pairs:
        task_id = str(each) if isinstance(each, str | int) and not isinstance(each, bool) else ""
        if _TASK_ID.fullmatch(task_id):
            yield str(name).replace("_", "").lower(), task_id
    for _, each in pairs:
        yield from _named(each, depth - 1)


#: "Go elsewhere with the same request": it was not processed. Not 303, which is how a server answers a POST that it
#: did process, and none of the other 3xx (RFC 9110, section 15.4).
REDIRECTED: Final = frozenset({301, 302, 307, 308})

#: The account, in the vendor's envelope: a wrong key, or no credit.
_OF_THE_ACCOUNT: Final = frozenset({401, 402})

#: The vendor's own 4xx about the request itself. The others may be about the account, its key or the model as well.
_OF_THE_REQUEST: Final = frozenset({400, 409, 413, 414, 415, 422, 451})

#: Codes of one job, which count whatever the status.
_OF_THE_JOB: Final = frozenset({FailureKind.CONTENT, FailureKind.PROMPT, FailureKind.INPUT})

#: Codes that speak of the vendor: refused at once for these, a job may be accepted later.
_OF_THE_VENDOR: Final = frozenset({FailureKind.TRANSIENT, FailureKind.GENERIC})

#: Refusals of 4xx as HTTP has them (RFC 9110, section 15.5, and IANA's registry). Without the vendor's envelope
#: something else has answered: a gateway, a firewall, a web server at a wrong base URL. Whoever refused the request has
#: not passed it on. Other numbers have no such meaning; with 499 or 460 some gateways even note that they gave up on a
#: request which they had passed on.
_REFUSED_ON_THE_WAY: Final = frozenset(each.value for each in HTTPStatus if each.value // 100 == 4)  # noqa: PLR2004 - 4xx

#: Words of a 403 without a code: about the content, and about the account. With both it is not known which is meant.
_CONTENT_WORDS: Final = re.compile(r"content|policy|policies|nsfw|safety|moderation|prohibited", re.IGNORECASE)
_ACCOUNT_WORDS: Final = re.compile(
    r"key|permission|balance|credit|access|account|auth|model|quota|subscription", re.IGNORECASE
)


def read_refusal(  # noqa: PLR0911 - a table
    status: int, code: int, headers: Mapping[str, str], envelope: Envelope | None, shown: bytes, now: datetime
) -> Rejected | Refused | Unauthorised | Throttled | NotSent | None:
    """Return what the refusal of a submission means; None if it is none, or may hide an accepted task.

    Args:
        status: The HTTP status.
        code: The envelope's code where the status is a success, else the status.
        headers: The HTTP headers.
        envelope: The vendor's envelope, if the answer has one.
        shown: What was read of the body.
        now: The current time with its zone, for a Retry-After date.
    """
    message = message_of(code, envelope)
    if status in REDIRECTED:
        return Refused(str(status), f"redirected with HTTP {status}; check the base URL")
    shows_task = bool(task_hint(shown, is_success=False))
    if envelope is not None and envelope.fail_code and _is_refused(status, envelope, shows_task=shows_task):
        kind = failure_of(envelope.fail_code).kind
        if kind in _OF_THE_JOB:
            return Rejected(envelope.fail_code, message)
    account = read_account_refusal(status, code, headers, envelope, now, shows_task=shows_task)
    if account is not None:
        return account
    if envelope is not None and envelope.is_error:
        if code == envelope.code == HTTPStatus.SERVICE_UNAVAILABLE and not shows_task:
            wait = parse_retry_after(headers.get("retry-after"), now)
            return NotSent(f"the vendor is unavailable: {message}", Obstacle.VENDOR, wait)
        if HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR:
            verdict = _without_code(code, envelope, message)
            return None if shows_task and isinstance(verdict, Refused) else verdict
    # An envelope that is not whole may be a gateway's.
    is_refused = status in _REFUSED_ON_THE_WAY or (is_success(status) and code in {*_OF_THE_ACCOUNT, 403})
    if is_refused and not shows_task and not (envelope is not None and is_success(envelope.code or 0)):
        return Refused(str(code), f"{message}; not in the vendor's form: check the base URL, firewalls and proxies")
    return None


def read_account_refusal(
    status: int,
    code: int,
    headers: Mapping[str, str],
    envelope: Envelope | None,
    now: datetime,
    *,
    shows_task: bool = False,
) -> Unauthorised | Throttled | None:
    """Return what the refusal of any request means for the account; None if nothing.

    Args:
        status: The HTTP status.
        code: The envelope's code where the status is a success, else the status.
        headers: The HTTP headers.
        envelope: The vendor's envelope, if the answer has one.
        now: The current time with its zone, for a Retry-After date.
        shows_task: Whether the answer shows the id of a task that the vendor may have accepted.
    """
    message = message_of(code, envelope)
    if status in REDIRECTED:
        return None
    if (
        envelope is not None
        and failure_of(envelope.fail_code).kind is FailureKind.ACCOUNT
        and _is_refused(status, envelope, shows_task=shows_task)
    ):
        return Unauthorised(HTTPStatus.PAYMENT_REQUIRED, message)
    if code in _OF_THE_ACCOUNT and envelope is not None and envelope.is_error:
        return Unauthorised(code, message)
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        wait = parse_retry_after(headers.get("retry-after"), now)
        return Throttled(wait, message, tells_concurrency(envelope.message) if envelope is not None else None)
    return None


def message_of(code: int, envelope: Envelope | None) -> str:
    """Return the words of an answer, or that there are none."""
    return (envelope.message if envelope is not None else "") or f"code {code} without a message"


def _is_refused(status: int, envelope: Envelope, *, shows_task: bool) -> bool:
    """Return whether the vendor itself says that it refuses: its code then counts, whatever the status of the error."""
    is_4xx = HTTPStatus.BAD_REQUEST <= (envelope.code or 0) < HTTPStatus.INTERNAL_SERVER_ERROR
    is_error = is_success(status) or status >= HTTPStatus.BAD_REQUEST
    return envelope.is_error and is_error and (not shows_task or (is_4xx and status < HTTPStatus.INTERNAL_SERVER_ERROR))


def _without_code(code: int, envelope: Envelope, message: str) -> Rejected | Refused:
    """Read a 4xx in the envelope whose failure code, if there is one, blames neither the job nor the account."""
    named = envelope.fail_code or str(code)
    if failure_of(envelope.fail_code).kind in _OF_THE_VENDOR:
        return Refused(named, message)
    if code in _OF_THE_REQUEST:
        return Rejected(named, message)
    is_content = bool(_CONTENT_WORDS.search(envelope.message)) and not _ACCOUNT_WORDS.search(envelope.message)
    if code == HTTPStatus.FORBIDDEN and is_content:
        return Rejected(named, message, is_content=True)
    return Refused(named, message)
