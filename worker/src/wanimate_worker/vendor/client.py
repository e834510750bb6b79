"""The client of the vendor's API: three requests, and whatever happens comes back as a value."""

from __future__ import annotations

import contextlib
import time
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, cast
from urllib.parse import quote_plus

import httpx
import orjson
from wanimate.errors import SettingsError

from ..addresses import is_loopback
from .answers import Unknown, Unreadable
from .balance import classify_balance
from .classify import classify_error, classify_status, classify_submit, not_sent
from .envelope import HttpAnswer
from .request import Exchange, Sending, Timeouts, request_body
from .transport import MAX_PORT, Connections

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import SecretStr
    from wanimate.contract import Job

    from .answers import BalanceAnswer, StatusAnswer, SubmitAnswer
    from .request import MaySend

SUBMIT_PATH: Final = "/api/v1/generateTask/wan-2-2-animate"
STATUS_PATH: Final = "/api/v1/statusTask/wan-2-2-animate"
BALANCE_PATH: Final = "/api/v1/apikeys/current-balance"

#: Answers are a few hundred bytes; one that exceeds this is not read to its end.
MAX_ANSWER_BYTES: Final = 1024 * 1024
#: Shorter keys are a simulator's, and taking them out of messages would leave holes in words.
_MIN_SECRET: Final = 8

_Answer = TypeVar("_Answer", "SubmitAnswer", "StatusAnswer", "BalanceAnswer")


class VendorClient:
    """Submits jobs and asks about tasks; safe to share between threads and to keep across a fork.

    Upstream trouble is a value, never an exception. Nothing is sent twice: no retries, no redirects, no proxy of its
    own accord. The environment's proxies and CA bundles (`HTTPS_PROXY`, `SSL_CERT_FILE`) are used only if asked for, so
    that a variable meant for something else neither sends the API key elsewhere nor catches what is meant for loopback.

    Each request takes an `exchange`, which names it and is filled in with what came of it, and `may_send`, which is
    asked just before the first byte is written.

    Args:
        base_url: The vendor's or the simulator's address, `https://api.apixo.ai` or one on loopback.
        api_key: The key, sent with every request and shown nowhere (vendor document, "Authentication").
        timeouts: Bounds on the steps of a request, in seconds.
        trust_env: Whether to use the environment's proxies and CA bundles.
        allow_http: Whether the key may be sent in clear to another machine.

    Raises:
        SettingsError: The address or the key cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        api_key: SecretStr,
        *,
        timeouts: Timeouts | None = None,
        trust_env: bool = False,
        allow_http: bool = False,
    ) -> None:
        self._base_url = _checked_url(base_url, allow_http=allow_http)
        self._api_key = _checked_key(api_key)
        self._headers = httpx.Headers(
            {
                "Host": httpx.URL(self._base_url).netloc.decode("ascii"),
                "Authorization": f"Bearer {api_key.get_secret_value()}",
                "User-Agent": f"wanimate/{version('wanimate')}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # the answers are small, and a compressed one has no bound
            }
        )
        self._connections = Connections(self._base_url, trust_env=trust_env)
        bounds = timeouts or Timeouts()
        steps = {"connect": bounds.connect_seconds, "pool": bounds.connect_seconds, "write": bounds.write_seconds}
        on_submit, on_status = (
            {**steps, "read": read} for read in (bounds.submit_read_seconds, bounds.status_read_seconds)
        )
        self._submit_to = _Endpoint("POST", httpx.URL(self._base_url + SUBMIT_PATH), on_submit)
        self._ask_at = _Endpoint("GET", httpx.URL(self._base_url + STATUS_PATH), on_status)
        self._balance_at = _Endpoint("GET", httpx.URL(self._base_url + BALANCE_PATH), on_status)

    def __repr__(self) -> str:
        return f"VendorClient({self._base_url!r})"

    def prepare(self) -> None:
        """Make the TLS context and this thread's client now: what is wrong with either shows at the start.

        Raises:
            SettingsError: The environment's proxies or CA bundle cannot be used.
        """
        self._connections.get()

    def submit(
        self,
        job: Job,
        callback_url: str | None = None,
        exchange: Exchange | None = None,
        *,
        may_send: MaySend | None = None,
    ) -> SubmitAnswer:
        """Send a job once and return what became of it (vendor document, "POST /api/v1/generateTask/wan-2-2-animate").

        Without a `callback_url`, where the vendor reports the end, the task is only polled.
        """
        sending = Sending(b"", may_send)
        said: SubmitAnswer
        try:
            sending = Sending(orjson.dumps(request_body(job, callback_url)), may_send)
            said = classify_submit(self._exchange(exchange, self._submit_to, sending))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is known whether the request had left
            said = classify_error(error, Unknown) if sending.has_left else not_sent(error)
        return self._redacted(said, callback_url)

    def status(
        self, task_id: str, exchange: Exchange | None = None, *, may_send: MaySend | None = None
    ) -> StatusAnswer:
        """Ask once where a task stands (vendor document, "GET /api/v1/statusTask/wan-2-2-animate")."""
        said: StatusAnswer
        try:
            query, sending = f"taskId={quote_plus(task_id)}", Sending(b"", may_send)
            said = classify_status(task_id, self._exchange(exchange, self._ask_at, sending, query))
        except Exception as error:  # noqa: BLE001 - a task that could not be asked about is asked about again
            said = classify_error(error, Unreadable)
        return self._redacted(said)

    def balance(self, exchange: Exchange | None = None, *, may_send: MaySend | None = None) -> BalanceAnswer:
        """Ask once for the account's balance (vendor's account pages, "GET /api/v1/apikeys/current-balance")."""
        said: BalanceAnswer
        try:
            said = classify_balance(self._exchange(exchange, self._balance_at, Sending(b"", may_send)))
        except Exception as error:  # noqa: BLE001 - a balance that could not be read is read again later
            said = classify_error(error, Unreadable)
        return self._redacted(said)

    def close(self) -> None:
        """Close this process's connections, once no request is under way."""
        self._connections.close()

    def _exchange(
        self, exchange: Exchange | None, endpoint: _Endpoint, sending: Sending, query: str = ""
    ) -> HttpAnswer:
        exchange = exchange or Exchange()
        transport, headers = self._connections.get(), self._headers.copy()
        headers["X-Request-Id"] = exchange.request_id
        if sending.length:
            headers["Content-Length"] = str(sending.length)
        extensions = {"timeout": endpoint.timeouts, "trace": sending.trace}
        request = httpx.Request(endpoint.method, endpoint.url, headers=headers, stream=sending, extensions=extensions)
        if query:
            request.url = _WithQuery(endpoint.url, query)
        exchange.sent_at_ns = time.time_ns()
        try:
            sending.check()
            with contextlib.closing(transport.handle_request(request)) as response:
                status, raw = response.status_code, response.headers.raw
                head = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
                exchange.answered(status, head, self._api_key.get_secret_value())
                body, is_whole = _read(response, endpoint.timeouts["read"], is_encoded="content-encoding" in head)
                return HttpAnswer.read(status, head, body, datetime.now(UTC), is_whole=is_whole)
        finally:
            exchange.ended_at_ns = time.time_ns()

    def _redacted(self, answer: _Answer, callback_url: str | None = None) -> _Answer:
        """Take the API key and the signature of the callback URL out of whatever the other side quoted."""
        key, signature = self._api_key.get_secret_value(), (callback_url or "").rpartition("/")[2]
        said = {name: getattr(answer, name) for name in (each.name for each in fields(answer)) if name != "task_id"}
        cleaned: dict[str, Any] = {name: text for name, text in said.items() if isinstance(text, str)}
        for secret, stand_in in ((key, "[API key]"), (signature, "[signature]")):
            if len(secret) >= _MIN_SECRET:
                cleaned = {name: text.replace(secret, stand_in) for name, text in cleaned.items()}
        return replace(answer, **cleaned) if cleaned else answer


class _Endpoint(NamedTuple):
    method: str
    url: httpx.URL
    #: Of each step, in seconds (httpx documentation, "Extensions").
    timeouts: dict[str, float]


class _WithQuery(httpx.URL):
    """A URL that was parsed before, and another query: parsing it again takes a tenth of a status request's CPU."""

    def __init__(self, url: httpx.URL, query: str) -> None:
        super().__init__(url)
        self._raw_path: Final = b"%s?%s" % (url.raw_path, query.encode("ascii"))

    @property
    def raw_path(self) -> bytes:
        return self._raw_path


def _read(response: httpx.Response, max_seconds: float, *, is_encoded: bool) -> tuple[bytes, bool]:
    """Return a body, and whether it is whole: it may be too large, too slow or broken."""
    give_up_at = time.monotonic() + max_seconds
    body = bytearray()
    try:
        # What is not compressed, as we ask, needs no decoder.
        for chunk in response.iter_bytes() if is_encoded else cast("Iterable[bytes]", response.stream):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES or time.monotonic() > give_up_at:
                return bytes(body), False
    except httpx.HTTPError:
        return bytes(body), False
    return bytes(body), True


def _checked_url(base_url: str, *, allow_http: bool) -> str:
    try:
        url = httpx.URL(base_url)
        url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError):
        raise SettingsError("WANIMATE_API_BASE_URL: the base URL is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host or "%" in url.host or (url.port or 0) > MAX_PORT:
        raise SettingsError(
            "WANIMATE_API_BASE_URL: the base URL must start with https:// (or http:// for a simulator) and a host"
        )
    if url.userinfo or url.query or url.fragment:
        raise SettingsError("WANIMATE_API_BASE_URL: the base URL must have no user, password, query or fragment")
    if url.scheme == "http" and not (allow_http or is_loopback(url.host)):
        raise SettingsError(
            f"WANIMATE_API_BASE_URL: http:// would send the API key in clear to {url.host}; use https://, or set "
            "WANIMATE_ALLOW_HTTP=true for a simulator in a network of its own"
        )
    return str(url).rstrip("/")


def _checked_key(api_key: SecretStr) -> SecretStr:
    key = api_key.get_secret_value()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsError("WANIMATE_API_KEY: the API key must be printable ASCII without spaces or line ends")
    return api_key
