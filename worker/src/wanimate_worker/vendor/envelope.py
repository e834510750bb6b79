"""The JSON object that every answer of the vendor comes in, read as far as it can be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import orjson

_BOM: Final = b"\xef\xbb\xbf"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")


def parse(text: bytes | str) -> Any:
    """Return the value of a JSON text.

    Also with a byte order mark, in UTF-16 or with bytes that are no text at all, and with what orjson refuses: lone
    surrogates, which no text that is stored or sent may hold and which become U+FFFD, and very large numbers.

    Args:
        text: The JSON.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return orjson.loads(text.removeprefix(_BOM) if isinstance(text, bytes) else text.removeprefix("\ufeff"))
    except orjson.JSONDecodeError:
        pass
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "replace")
    try:
        return _without_surrogates(json.loads(text.removeprefix("\ufeff")))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(each) for name, each in value.items()}
    return value


#: Longer texts are cut: they end up in logs and in results.
MAX_MESSAGE_CHARACTERS: Final = 500

_CONCURRENCY: Final = re.compile(r"concurren|in[ -]flight|simultaneous|parallel", re.IGNORECASE)
_REQUESTS: Final = re.compile(r"\brequests?\b|per (minute|second|hour)|\b[rq]p[sm]\b|too frequent", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Envelope:
    """One answer: `{"code": …, "message": …, "data": {…}}` (vendor document, "Response").

    Args:
        code: Its code; None if it has none, 0 if it is no number.
        message: Its message and the detail in `data`, on one line, may be empty.
        data: Its data, empty if there is none.
        is_complete: Whether it has all three parts.
    """

    code: int | None
    message: str
    data: dict[str, Any]
    is_complete: bool = False

    @property
    def is_error(self) -> bool:
        """Whether it is the vendor's own word about an error.

        The envelope is then whole (vendor document, "Response"). Other servers have JSON with a `code`, too: gateways
        say `{"code": 5, "message": "Not Found"}` or `{"code": 404, "message": "Not Found"}`. Without `data` only a 400
        with a message counts, which speaks of the request itself.
        """
        if not self.code or is_success(self.code):
            return False
        return self.is_complete or (self.code == HTTPStatus.BAD_REQUEST and bool(self.message))

    @property
    def fail_code(self) -> str | None:
        """The vendor's named code (`CONTENT_VIOLATION`, …), if there is one."""
        code = self.data.get("failCode")
        return one_line(str(code)) if isinstance(code, (str, int)) and str(code).strip() else None

    @property
    def fail_message(self) -> str:
        """The vendor's words for a failure, may be empty."""
        message = self.data.get("failMsg")
        return one_line(message if isinstance(message, str) else "" if message is None else str(message))

    @property
    def task_id(self) -> str | None:
        """The vendor's task id, if there is one."""
        task_id = self.data.get("taskId")
        return task_id if isinstance(task_id, str) and task_id.strip() else None


def read_envelope(body: bytes | None, *, is_lenient: bool = False) -> Envelope | None:
    """Return the envelope, or None if the body is missing or is no JSON object.

    Args:
        body: The body, None if it could not be read to its end.
        is_lenient: Whether `data` is also read where it is JSON in a text, or the only entry of a list.
    """
    try:
        answer = parse(body or b"")
    except ValueError:
        return None
    if not isinstance(answer, dict):
        return None
    given = answer.get("data")
    if is_lenient:
        given = _unwrapped(given)
    data = given if isinstance(given, dict) else {}
    # The detail of a refusal is in `data.error` (vendor's page "Error Codes").
    details = (answer.get("message"), data.get("error"), data.get("failMsg"))
    message = ": ".join(one_line(text) for text in details if isinstance(text, str) and text.strip())
    is_complete = {"code", "message", "data"} <= answer.keys()
    return Envelope(_code(answer), message[:MAX_MESSAGE_CHARACTERS], data, is_complete)


def is_success(code: int) -> bool:
    """Return whether a code is one of success."""
    return HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES


def code_of(status: int, envelope: Envelope | None) -> int:
    """Return the code that counts: the envelope's where the status is a success, else the status."""
    if is_success(status) and envelope is not None and envelope.code is not None:
        return envelope.code
    return status


def tells_concurrency(message: str) -> bool | None:
    """Return whether a refusal speaks of concurrent tasks (True) or of requests (False); None if of neither.

    "Rate limit exceeded" alone is neither: the vendor uses these words for every 429 (vendor document, "Error Codes"),
    and both limits answer with 429 ("Rate Limits").

    Args:
        message: The vendor's explanation.
    """
    if _CONCURRENCY.search(message):
        return True
    return False if _REQUESTS.search(message) else None


def one_line(text: str) -> str:
    """Return a text of the vendor as it may be logged: one line, printable, not too long."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_MESSAGE_CHARACTERS])
    return " ".join(printable.split())[:MAX_MESSAGE_CHARACTERS]


def _unwrapped(given: Any) -> Any:
    if isinstance(given, str):
        try:
            given = parse(given)
        except ValueError:
            return None
    return given[0] if isinstance(given, list) and len(given) == 1 else given


def _code(answer: dict[str, Any]) -> int | None:
    code = answer.get("code")
    if code is None:
        return None
    if isinstance(code, str) and re.fullmatch(r"[0-9]{1,9}", code):
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else 0


#: A longer wait is a mistake of the sender more often than a plan; the next answer can ask again. In seconds.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0

_SECONDS: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return how long to wait in seconds, or None if the header is missing, unreadable or in the past.

    Seconds or an HTTP-date (RFC 9110, section 10.2.3); seconds may have decimals, which the RFC does not have but
    some gateways send. Capped at `MAX_RETRY_AFTER_SECONDS`.

    Args:
        value: The header, None if there was none.
        now: The current time with its zone; an HTTP-date is relative to it.
    """
    text = (value or "").strip()
    seconds = float(text) if _SECONDS.fullmatch(text) else _seconds_until(text, now)
    if seconds is None or seconds < 0:
        return None
    return min(seconds, MAX_RETRY_AFTER_SECONDS)


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" in the header: UTC, by RFC 5322
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
