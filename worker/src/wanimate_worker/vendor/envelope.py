"""One answer over HTTP, and the JSON object that every answer of the vendor comes in, read as far as it can be."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

_BOM: Final = b"\xef\xbb\xbf"
_SURROGATES: Final = re.compile("[\ud800-\udfff]")
#: Longer texts are cut: they end up in logs and in results.
MAX_MESSAGE_CHARACTERS: Final = 500
#: A longer wait is a mistake of the sender more often than a plan; the next answer may require it again. In seconds.
MAX_RETRY_AFTER_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer: `{"code": …, "message": …, "data": {…}}` (vendor document, "Response"), or whatever came instead.

    Args:
        status: The HTTP status.
        headers: The HTTP headers, by lower-case name or in any case-insensitive mapping.
        body: As far as it was read.
        at: When it came, with its zone.
        envelope: The JSON object; None if the body is none, or was not read to its end.
        data: Its data, empty if there is none.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    envelope: Mapping[str, Any] | None
    data: Mapping[str, Any]

    @classmethod
    def read(cls, status: int, headers: Mapping[str, str], body: bytes, at: datetime, *, is_whole: bool = True) -> Self:
        """Build from what came; of a body that is not whole no more than a task id is used."""
        parsed = parse(body) if is_whole else None
        envelope = parsed if isinstance(parsed, dict) else None
        return cls(status, headers, body, at, envelope, _as_object((envelope or {}).get("data")))

    def with_unwrapped_data(self) -> Self:
        """Return the answer with `data` read also where it is JSON in a text, or the only entry of a list."""
        given = (self.envelope or {}).get("data")
        if isinstance(given, str):
            given = parse(given)
        return replace(self, data=_as_object(given[0] if isinstance(given, list) and len(given) == 1 else given))

    @property
    def own_code(self) -> int | None:
        """The envelope's code; None if it has none, 0 if it is no number."""
        code = (self.envelope or {}).get("code")
        if isinstance(code, str) and re.fullmatch(r"[0-9]{1,9}", code):
            return int(code)
        return code if code is None or (isinstance(code, int) and not isinstance(code, bool)) else 0

    @property
    def code(self) -> int:
        """The code that counts: the envelope's where the status is a success, else the status."""
        own_code = self.own_code
        return own_code if is_success(self.status) and own_code is not None else self.status

    @property
    def is_error(self) -> bool:
        """Whether it is an error in the vendor's own form.

        The envelope is then whole (vendor document, "Response"). Other servers have JSON with a `code`, too: gateways
        say `{"code": 5, "message": "Not Found"}` or `{"code": 404, "message": "Not Found"}`. Without `data` only a 400
        with a message counts, which speaks of the request itself.
        """
        if self.envelope is None or not self.own_code or is_success(self.own_code):
            return False
        is_complete = {"code", "message", "data"} <= self.envelope.keys()
        return is_complete or (self.own_code == HTTPStatus.BAD_REQUEST and bool(self.vendor_message))

    @property
    def vendor_message(self) -> str:
        """The message and the detail of a refusal (vendor's page "Error Codes"), on one line; may be empty."""
        details = ((self.envelope or {}).get("message"), self.data.get("error"), self.data.get("failMsg"))
        said = ": ".join(one_line(text) for text in details if isinstance(text, str) and text.strip())
        return said[:MAX_MESSAGE_CHARACTERS]

    @property
    def message(self) -> str:
        """The vendor's message, or that there is none."""
        return self.vendor_message or f"code {self.code} without a message"

    @property
    def fail_code(self) -> str | None:
        """The vendor's named code (`CONTENT_VIOLATION`, …), if there is one."""
        code = self.data.get("failCode")
        return one_line(str(code)) if isinstance(code, (str, int)) and str(code).strip() else None

    @property
    def task_id(self) -> str | None:
        """The vendor's task id, if there is one."""
        task_id = self.data.get("taskId")
        return task_id if isinstance(task_id, str) and task_id.strip() else None

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the vendor asks to wait, if it does."""
        return parse_retry_after(self.headers.get("retry-after"), self.at)


def is_success(code: int) -> bool:
    """Return whether a code is one of success."""
    return HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES


def one_line(text: str) -> str:
    """Return a text of the vendor as it may be logged: one line, printable, not too long."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * MAX_MESSAGE_CHARACTERS])
    return " ".join(printable.split())[:MAX_MESSAGE_CHARACTERS]


def parse(text: bytes | str) -> Any:
    """Return the value of a JSON text; None if it is no JSON.

    It is read also with a byte order mark, in UTF-16 or with bytes that are no text at all, and with what orjson
    refuses: lone surrogates, which no text that is stored or sent may hold and which become U+FFFD, and very large
    numbers.
    """
    try:
        return orjson.loads(text.removeprefix(_BOM) if isinstance(text, bytes) else text.removeprefix("\ufeff"))
    except orjson.JSONDecodeError:
        pass
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text), "replace")
    try:
        return _without_surrogates(json.loads(text.removeprefix("\ufeff")))
    except (ValueError, RecursionError):
        return None


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return how long to wait in seconds, or None if the header is missing, unreadable or in the past.

    Seconds or an HTTP-date (RFC 9110, section 10.2.3); seconds may have decimals, which the RFC does not have but
    some gateways send. Capped at `MAX_RETRY_AFTER_SECONDS`.
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" in the header: UTC, by RFC 5322
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - now).total_seconds()
    return None if seconds < 0 else min(seconds, MAX_RETRY_AFTER_SECONDS)


def _as_object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return _SURROGATES.sub("\ufffd", value)
    if isinstance(value, list):
        return [_without_surrogates(each) for each in value]
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(each) for name, each in value.items()}
    return value
