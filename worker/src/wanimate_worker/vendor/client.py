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
from .classify import (
    classify_balance,
    classify_balance_error,
    classify_status,
    classify_status_error,
    classify_submit,
    classify_submit_error,
    not_sent,
)
from .request import Exchange, Sending, Timeouts, request_body
from .transport import MAX_PORT, Connections, client_errors, make_context, proxy_for

if TYPE_CHECKING:
    import ssl
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

#: An idle connection is not used again after this, in seconds. A server that closes it while a submission is on its
#: way leaves us not knowing whether the task was accepted, so we close first: Node.js and uvicorn wait 5 s, nginx and
#: the load balancers of the clouds a minute or more. A busy account uses each connection several times a second.
KEEPALIVE_EXPIRY_SECONDS: Final = 4.0

#: Shorter keys are a simulator's, and taking them out of messages would leave holes in words.
_MIN_SECRET: Final = 8

_Answer = TypeVar("_Answer", "SubmitAnswer", "StatusAnswer", "BalanceAnswer")


class VendorClient:
    """Submits jobs and asks about tasks; safe to share between threads and to keep across a fork.

    Nothing is sent twice: no retries, no redirects, no proxy of its own accord. The environment's proxies and CA
    bundles (`HTTPS_PROXY`, `SSL_CERT_FILE`) are used only if asked for, so that a variable meant for something else
    neither sends the API key elsewhere nor catches what is meant for loopback.

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
        self._timeouts = timeouts or Timeouts()
        self._trust_env = trust_env
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
        self._connections = Connections(self._make_transport, self._make_context)
        submit_seconds, status_seconds = self._timeouts.submit_read_seconds, self._timeouts.status_read_seconds
        self._submit_to = self._endpoint("POST", SUBMIT_PATH, submit_seconds)
        self._ask_at = self._endpoint("GET", STATUS_PATH, status_seconds)
        self._balance_at = self._endpoint("GET", BALANCE_PATH, status_seconds)

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
        """Send a job once and return what became of it; upstream trouble is a value, never an exception.

        Source: vendor document, "POST /api/v1/generateTask/wan-2-2-animate".

        Args:
            job: The job.
            callback_url: Where the vendor reports the end; without it the task is only polled.
            exchange: Names the request, and is filled in with what came of it.
            may_send: Asked just before the first byte is written.
        """
        sending = Sending(b"", may_send)
        try:
            sending = Sending(orjson.dumps(request_body(job, callback_url)), may_send)
            answer = self._exchange(exchange, self._submit_to, sending)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is known whether the request had left
            if not sending.has_left:
                return self._redacted(not_sent(error), callback_url)
            return self._redacted(classify_submit_error(error), callback_url)
        said = classify_submit(answer.status, answer.headers, answer.body, datetime.now(UTC), answer.part)
        return self._redacted(said, callback_url)

    def status(
        self, task_id: str, exchange: Exchange | None = None, *, may_send: MaySend | None = None
    ) -> StatusAnswer:
        """Ask once where a task stands; upstream trouble is a value, never an exception.

        Source: vendor document, "GET /api/v1/statusTask/wan-2-2-animate".

        Args:
            task_id: The vendor's task id.
            exchange: Names the request, and is filled in with what came of it.
            may_send: Asked just before the first byte is written.
        """
        try:
            answer = self._exchange(exchange, self._ask_at, Sending(b"", may_send), f"taskId={quote_plus(task_id)}")
        except Exception as error:  # noqa: BLE001 - a task that could not be asked about is asked about again
            return self._redacted(classify_status_error(error))
        return self._redacted(classify_status(task_id, answer.status, answer.headers, answer.body, datetime.now(UTC)))

    def balance(self, exchange: Exchange | None = None, *, may_send: MaySend | None = None) -> BalanceAnswer:
        """Ask once for the account's balance; upstream trouble is a value, never an exception.

        Source: vendor's account pages, "GET /api/v1/apikeys/current-balance".

        Args:
            exchange: Names the request, and is filled in with what came of it.
            may_send: Asked just before the first byte is written.
        """
        try:
            answer = self._exchange(exchange, self._balance_at, Sending(b"", may_send))
        except Exception as error:  # noqa: BLE001 - a balance that could not be read is read again later
            return self._redacted(classify_balance_error(error))
        return self._redacted(classify_balance(answer.status, answer.headers, answer.body, datetime.now(UTC)))

    def close(self) -> None:
        """Close this process's connections, once no request is under way."""
        self._connections.close()

    def _exchange(
        self, exchange: Exchange | None, endpoint: _Endpoint, sending: Sending, query: str = ""
    ) -> _HttpAnswer:
        exchange = exchange or Exchange()
        transport, headers = self._connections.get(), self._headers.copy()
        headers["X-Request-Id"] = exchange.request_id
        if sending.length:
            headers["Content-Length"] = str(sending.length)
        extensions = {"timeout": endpoint.timeouts, "trace": sending.trace}
        request = httpx.Request(endpoint.method, endpoint.url, headers=headers, stream=sending, extensions=extensions)
        if query:
            request.url = _WithQuery(endpoint.url, query)
        exchange.begin()
        try:
            sending.check()
            with contextlib.closing(transport.handle_request(request)) as response:
                status, raw = response.status_code, response.headers.raw
                head = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in raw}
                exchange.answered(status, head, self._api_key.get_secret_value())
                body = _read(response, endpoint.timeouts["read"], is_encoded="content-encoding" in head)
                return _HttpAnswer(status, head, *body)
        finally:
            exchange.end()

    def _endpoint(self, method: str, path: str, read_seconds: float) -> _Endpoint:
        bounds = self._timeouts
        timeouts = {"connect": bounds.connect_seconds, "pool": bounds.connect_seconds}
        timeouts |= {"write": bounds.write_seconds, "read": read_seconds}
        return _Endpoint(method, httpx.URL(self._base_url + path), timeouts)

    def _make_transport(self, context: ssl.SSLContext) -> httpx.HTTPTransport:
        with client_errors(trust_env=self._trust_env):
            return httpx.HTTPTransport(
                verify=context,
                proxy=proxy_for(self._base_url) if self._trust_env else None,
                # One thread has one request under way. httpx's own `retries` stay at 0, their default.
                limits=httpx.Limits(
                    max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_EXPIRY_SECONDS
                ),
            )

    def _make_context(self) -> ssl.SSLContext:
        return make_context(trust_env=self._trust_env)

    def _redacted(self, answer: _Answer, callback_url: str | None = None) -> _Answer:
        """Take the API key and the signature of the callback URL out of whatever the other side quoted."""
        key, signature = self._api_key.get_secret_value(), (callback_url or "").rpartition("/")[2]
        cleaned: dict[str, Any] = {}
        for name in (each.name for each in fields(answer) if each.name != "task_id"):
            text = getattr(answer, name)
            if isinstance(text, str):
                for secret, stand_in in ((key, "[API key]"), (signature, "[signature]")):
                    if len(secret) >= _MIN_SECRET and secret in text:
                        text = cleaned[name] = text.replace(secret, stand_in)
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


class _HttpAnswer(NamedTuple):
    status: int
    #: By lower-case name.
    headers: dict[str, str]
    #: None if it was not read to its end.
    body: bytes | None
    part: bytes


def _read(response: httpx.Response, max_seconds: float, *, is_encoded: bool) -> tuple[bytes | None, bytes]:
    """Read a body, whole and in part; None for the whole if it is too large, too slow or broken."""
    give_up_at = time.monotonic() + max_seconds
    body = bytearray()
    try:
        # What is not compressed, as we ask, needs no decoder.
        for chunk in response.iter_bytes() if is_encoded else cast("Iterable[bytes]", response.stream):
            body += chunk
            if len(body) > MAX_ANSWER_BYTES or time.monotonic() > give_up_at:
                return None, bytes(body)
    except httpx.HTTPError:
        return None, bytes(body)
    return bytes(body), b""


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
