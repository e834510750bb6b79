"""The error answers. Source: the vendor's page, "Error Codes", and its other error pages."""

from collections.abc import Mapping
from enum import StrEnum
from http.client import responses

from .fail_codes import message_of

_INSUFFICIENT_CREDITS = "INSUFFICIENT_CREDITS"
#: Server errors that leave unknown what happened: the status, and whether it comes as a page. Each has its turn.
SERVER_ERRORS = ((500, False), (502, True), (504, True), (500, True), (502, False), (504, False))

#: What something in front of the vendor's API says, in pages without the vendor's envelope.
_TRY_AGAIN = "Please try again in a moment."
_BLOCKED = "Sorry, you have been blocked. Request id: 8f2c6e01d4b7a953."


class Cause(StrEnum):
    """Why a request was answered 429."""

    RATE = "rate"
    CONCURRENCY = "concurrency"
    INJECTED = "injected"


class RefusedError(Exception):
    """The vendor, or something in front of it, answers with an error.

    Args:
        code: HTTP status and `code` of the envelope.
        message: `message` of the envelope.
        cause: why, for a 429.
        data: `data` of the envelope.
        page: an HTML page to answer in place of the envelope.
    """

    def __init__(
        self,
        code: int,
        message: str = "",
        cause: Cause | None = None,
        *,
        data: Mapping[str, object] | None = None,
        page: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.cause = cause
        self.data = data
        self.page = page


class DroppedError(Exception):
    """The vendor closes the connection without an answer."""


def server_error(number: int) -> RefusedError:
    """Return 500, 502 or 504, in the envelope or as a page.

    Args:
        number: counts server errors from 0; each of `SERVER_ERRORS` has its turn.
    """
    status, is_page = SERVER_ERRORS[number % len(SERVER_ERRORS)]
    if is_page:
        return RefusedError(status, page=_page(status, _TRY_AGAIN))
    return RefusedError(status, "Server error, please try again later")


def unavailable(*, as_page: bool) -> RefusedError:
    """Return 503: in the envelope it is documented and nothing was accepted, as a page it says nothing."""
    if as_page:
        return RefusedError(503, page=_page(503, _TRY_AGAIN))
    return RefusedError(503, "Service temporarily unavailable, please try again later")


def blocked(status: int) -> RefusedError:
    """Return the answer of a web application firewall."""
    return RefusedError(status, page=_page(status, _BLOCKED))


def forbidden(message: str | None = None) -> RefusedError:
    """Return 403 without a code; what it means, a message may tell."""
    return RefusedError(403, message or "Forbidden")


def out_of_credit() -> RefusedError:
    """Return 402 for an account without a balance."""
    return RefusedError(402, "Insufficient balance", data=_failure(_INSUFFICIENT_CREDITS))


def refused_with(code: str, status: int) -> RefusedError:
    """Return an error with a failure code."""
    return RefusedError(status, message_of(code), data=_failure(code))


def _failure(code: str) -> dict[str, object]:
    return {"failCode": code, "failMsg": message_of(code)}


def _page(status: int, text: str) -> bytes:
    title = f"{status} {responses.get(status, 'Error')}"
    html = f"<!DOCTYPE html><html><head><title>{title}</title></head><body><h1>{title}</h1><p>{text}</p></body></html>"
    return html.encode()
