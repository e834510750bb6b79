"""What an answer, or its absence, means: decided here once, without guessing.

`docs/refusals.md` has the rule as a table: what a refusal means for the job, for the account, or for neither.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeVar

import httpx
from wanimate.errors import SettingsError
from wanimate.failure_codes import FailureKind, failure_of

from .answers import (
    Accepted,
    NotSent,
    Obstacle,
    Refused,
    Rejected,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unknown,
    Unreadable,
)
from .envelope import is_success, one_line, parse
from .request import TooLate
from .status import read_status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from .answers import StatusAnswer, SubmitAnswer
    from .envelope import HttpAnswer

_Unanswered = TypeVar("_Unanswered", Unknown, Unreadable)

#: "Go elsewhere with the same request": it was not processed. Not 303, which is how a server answers a POST that it
#: did process, and none of the other 3xx (RFC 9110, section 15.4).
_REDIRECTED: Final = frozenset({301, 302, 307, 308})
#: The account, in the vendor's envelope: a wrong key, or no credit.
_OF_THE_ACCOUNT: Final = frozenset({401, 402})
#: The vendor's own 4xx about the request itself. The others may be about the account, its key or the model as well.
_OF_THE_REQUEST: Final = frozenset({400, 409, 413, 414, 415, 422, 451})
#: Failure codes of one job, which count whatever the status.
_OF_THE_JOB: Final = frozenset({FailureKind.CONTENT, FailureKind.PROMPT, FailureKind.INPUT})
#: Failure codes that speak of the vendor: refused at once for these, a job may be accepted later.
_OF_THE_VENDOR: Final = frozenset({FailureKind.TRANSIENT, FailureKind.GENERIC})
#: Refusals of 4xx as HTTP has them (RFC 9110, section 15.5, and IANA's registry). Without the vendor's envelope
#: something else has answered: a gateway, a firewall, a web server at a wrong base URL. It refused the request and has
#: not passed it on. Other numbers have no such meaning; with 499 or 460 some gateways even note that they gave up on a
#: request which they had passed on.
_REFUSED_ON_THE_WAY: Final = frozenset(each.value for each in HTTPStatus if each.value // 100 == 4)  # noqa: PLR2004 - 4xx

#: Words of a 403 without a code: about the content, and about the account. With both it is not known which is meant.
_CONTENT_WORDS: Final = re.compile(r"content|policy|policies|nsfw|safety|moderation|prohibited", re.IGNORECASE)
_ACCOUNT_WORDS: Final = re.compile(
    r"key|permission|balance|credit|access|account|auth|model|quota|subscription", re.IGNORECASE
)
#: Words of a 429. "Rate limit exceeded" alone is neither: the vendor uses it for every 429 (vendor document, "Error
#: Codes"), and both limits answer with 429 ("Rate Limits").
_TASK_WORDS: Final = re.compile(r"concurren|in[ -]flight|simultaneous|parallel", re.IGNORECASE)
_REQUEST_WORDS: Final = re.compile(r"\brequests?\b|per (minute|second|hour)|\b[rq]p[sm]\b|too frequent", re.IGNORECASE)

#: Raised only before the first byte of a request is written (httpx documentation, "Exceptions", and httpcore's
#: sources): name lookup, TCP connect and TLS handshake, also to or through a proxy; waiting for a free connection;
#: a URL that cannot be requested.
_BEFORE_SENDING: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    TooLate,
    SettingsError,
)


def classify_submit(answer: HttpAnswer) -> SubmitAnswer:
    """Return what the answer to a submission means; whatever may hide an accepted task is `Unknown`.

    An envelope whose code differs from a successful HTTP status is understood by its code (vendor document,
    "Response" and "Error Codes").
    """
    if not is_success(answer.code):
        refusal = _read_refusal(answer)
        if refusal is not None:
            return refusal
    elif answer.task_id is not None:
        return Accepted(answer.task_id)
    reason = "a success without a readable taskId" if is_success(answer.code) else answer.message
    hint = _task_hint(answer.body, is_success=is_success(answer.status))
    named = f"; the answer shows the id {hint}" if hint else ""
    return Unknown(f"HTTP {answer.status}: {reason}{named}", hint)


def classify_status(task_id: str, answer: HttpAnswer) -> StatusAnswer:
    """Return what the answer to a status request means; whatever tells nothing about the task is `Unreadable`.

    A 400 or 404 means that the vendor does not know the task only if it comes in the vendor's envelope: a gateway's
    own error page knows nothing about tasks.
    """
    answer = answer.with_unwrapped_data()
    # A code that is none of HTTP's, 0 for example, may come with an answer about this task all the same.
    names_it = is_success(answer.status) and str(answer.data.get("taskId")) == task_id
    if is_success(answer.code) or (answer.own_code == 0 and names_it):
        if answer.envelope is None:
            return Unreadable(f"HTTP {answer.status} without JSON")
        return read_status(task_id, answer)
    if answer.status in _REDIRECTED:
        return NotSent(f"redirected with HTTP {answer.status}; check WANIMATE_API_BASE_URL", Obstacle.GATEWAY)
    refusal = _read_account_refusal(answer)
    if refusal is not None:
        return refusal
    if answer.is_error and answer.code in {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}:
        return TaskNotFound(answer.message)
    has_envelope = answer.envelope is not None
    return Unreadable(answer.message if has_envelope else f"HTTP {answer.status} without the vendor's envelope")


def classify_error(error: Exception, unanswered: type[_Unanswered]) -> NotSent | _Unanswered:
    """Return whether a request that raised was surely not sent, or was perhaps sent and not answered.

    A closed connection is unanswered also when it was a reused one that the server closed while idle: nothing tells
    that apart from a server that read the request and died.
    """
    return not_sent(error) if isinstance(error, _BEFORE_SENDING) else unanswered(_reason(error))


def not_sent(error: Exception) -> NotSent:
    """Return what a request has come to that raised before anything of it could be processed."""
    return NotSent(_reason(error), Obstacle.STALE if isinstance(error, TooLate) else Obstacle.NETWORK)


def _reason(error: Exception) -> str:
    if isinstance(error, TooLate | SettingsError):
        return str(error)
    # A LocalProtocolError quotes the header it objects to, which may be the one with the API key.
    quoted = "" if isinstance(error, httpx.LocalProtocolError) else one_line(str(error))
    return f"{type(error).__name__}: {quoted}" if quoted else type(error).__name__


def _read_refusal(  # noqa: PLR0911 - a table
    answer: HttpAnswer,
) -> Rejected | Refused | Unauthorised | Throttled | NotSent | None:
    """Return what the refusal of a submission means; None if it is none, or may hide an accepted task."""
    status, code, message = answer.status, answer.code, answer.message
    if status in _REDIRECTED:
        return Refused(str(status), f"redirected with HTTP {status}; check WANIMATE_API_BASE_URL")
    shows_task = bool(_task_hint(answer.body, is_success=False))
    is_of_the_job = failure_of(answer.fail_code).kind in _OF_THE_JOB
    if answer.fail_code and is_of_the_job and _is_refused(answer, shows_task=shows_task):
        return Rejected(answer.fail_code, message)
    account = _read_account_refusal(answer, shows_task=shows_task)
    if account is not None:
        return account
    if answer.is_error and code == answer.own_code == HTTPStatus.SERVICE_UNAVAILABLE and not shows_task:
        return NotSent(f"the vendor is unavailable: {message}", Obstacle.VENDOR, answer.retry_after_seconds)
    if answer.is_error and _is_4xx(code):
        verdict = _read_4xx(answer)
        return None if shows_task and isinstance(verdict, Refused) else verdict
    # An envelope that is not whole may be a gateway's.
    is_refused = status in _REFUSED_ON_THE_WAY or (is_success(status) and code in {*_OF_THE_ACCOUNT, 403})
    if is_refused and not shows_task and not is_success(answer.own_code or 0):
        return Refused(
            str(code), f"{message}; not in the vendor's format: check WANIMATE_API_BASE_URL, firewalls and proxies"
        )
    return None


def _read_account_refusal(answer: HttpAnswer, *, shows_task: bool = False) -> Unauthorised | Throttled | None:
    """Return what the refusal of any request means for the account; None if nothing.

    Args:
        answer: The refusal.
        shows_task: Whether it shows the id of a task that the vendor may have accepted.
    """
    if failure_of(answer.fail_code).kind is FailureKind.ACCOUNT and _is_refused(answer, shows_task=shows_task):
        return Unauthorised(HTTPStatus.PAYMENT_REQUIRED, answer.message)
    if answer.code in _OF_THE_ACCOUNT and answer.is_error:
        return Unauthorised(answer.code, answer.message)
    if answer.code == HTTPStatus.TOO_MANY_REQUESTS:
        words = answer.vendor_message
        concurrency = True if _TASK_WORDS.search(words) else False if _REQUEST_WORDS.search(words) else None
        return Throttled(answer.retry_after_seconds, answer.message, concurrency)
    return None


def _read_4xx(answer: HttpAnswer) -> Rejected | Refused:
    """Read a 4xx in the envelope whose failure code, if there is one, blames neither the job nor the account."""
    named = answer.fail_code or str(answer.code)
    if failure_of(answer.fail_code).kind in _OF_THE_VENDOR:
        return Refused(named, answer.message)
    if answer.code in _OF_THE_REQUEST:
        return Rejected(named, answer.message)
    words = answer.vendor_message
    if answer.code == HTTPStatus.FORBIDDEN and _CONTENT_WORDS.search(words) and not _ACCOUNT_WORDS.search(words):
        return Rejected(named, answer.message, is_content=True)
    return Refused(named, answer.message)


def _is_refused(answer: HttpAnswer, *, shows_task: bool) -> bool:
    """Return whether the vendor itself says that it refuses: its code then counts, whatever the status of the error."""
    is_error = is_success(answer.status) or answer.status >= HTTPStatus.BAD_REQUEST
    is_sure = _is_4xx(answer.own_code or 0) and answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return answer.is_error and is_error and (is_sure or not shows_task)


def _is_4xx(code: int) -> bool:
    return HTTPStatus.BAD_REQUEST <= code < HTTPStatus.INTERNAL_SERVER_ERROR


#: The name of a task's id, in lower case and without underscores, and what the id may look like; the vendor's example
#: is `task_12345678`.
_TASK_ID_NAME: Final = "taskid"
_TASK_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: In a text that is no JSON, cut short for example.
_IN_TEXT: Final = re.compile(rb'"task_?[iI][dD]"\s*:\s*"?([A-Za-z0-9._:-]{1,128})["\s,}]')
_MAX_DEPTH: Final = 4


def _task_hint(body: bytes, *, is_success: bool) -> str:
    """Return the task id that a body shows somewhere, or nothing.

    Args:
        body: The body of an answer to a submission, or the part of it that could be read.
        is_success: Whether an id without a better name may be a task's; in an error it is rather that of the request.
    """
    parsed = parse(body)
    if parsed is None:
        found = _IN_TEXT.search(body)
        return found[1].decode() if found else ""
    ids = list(_ids_in(parsed, _MAX_DEPTH))
    names = (_TASK_ID_NAME, "id") if is_success else (_TASK_ID_NAME,)
    return next((task_id for wanted in names for name, task_id in ids if name == wanted), "")


def _ids_in(value: Any, depth: int) -> Iterator[tuple[str, str]]:
    """Yield names, in lower case and without underscores, and the ids they name, the outer ones first."""
    if depth == 0 or not isinstance(value, dict | list):
        return
    pairs = list(value.items()) if isinstance(value, dict) else [("", each) for each in value]
    for name, each in pairs:
        task_id = str(each) if isinstance(each, str | int) and not isinstance(each, bool) else ""
        if _TASK_ID.fullmatch(task_id):
            yield str(name).replace("_", "").lower(), task_id
    for _, each in pairs:
        yield from _ids_in(each, depth - 1)
