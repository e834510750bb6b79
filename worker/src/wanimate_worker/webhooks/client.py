"""One webhook over HTTP, signed as Standard Webhooks say; whatever comes of it is a value."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit
from uuid import uuid4

import httpcore
import orjson
from standardwebhooks import Webhook
from wanimate.contract import Event, JobState, Result
from wanimate.errors import SettingsError
from wanimate.text import one_line

from ..vendor.envelope import parse_retry_after
from .guard import AddressRefused, GuardedNetwork, addresses_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from ..service_settings import WebhookSettings
    from .guard import Resolve

#: Webhooks that one process sends at once.
MAX_SENDS: Final = 256
#: What is read of an answer's body before the connection is closed, and how long that may take. It is not used, but a
#: receiver may take a connection that is closed early for an error.
MAX_BODY_BYTES: Final = 64 * 1024
_BODY_SECONDS: Final = 1.0
_MAX_REASON_CHARACTERS: Final = 300
_MAX_URL_CHARACTERS: Final = 200
#: The first status of each kind.
_OK: Final = 200
_REDIRECTS: Final = 300
_ERRORS: Final = 400
#: Errors that say what happened; what they were made of would not say more.
_TELLING: Final = (AddressRefused, TimeoutError, socket.gaierror, ssl.SSLError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one try.

    Args:
        why: What it failed with; empty if the receiver took it.
        seconds: How long it took.
        status: The HTTP status, if there was one.
        retry_after_seconds: How long the receiver asks to wait, if it does.
    """

    why: str
    seconds: float
    status: int | None = None
    retry_after_seconds: float | None = None

    @property
    def is_gone(self) -> bool:
        """Whether the receiver wants no more webhooks (Standard Webhooks, "Operational considerations")."""
        return self.status == HTTPStatus.GONE


class WebhookClient:
    """Posts webhooks, from one event loop; follows no redirects and uses no proxy.

    Args:
        settings: Secrets, time-out and allowed networks.
        tls: Certificates; if not given, those of the system, `SSL_CERT_FILE` and certifi.
        resolve: What looks hosts up.

    Raises:
        SettingsError: There is no secret.
    """

    def __init__(
        self, settings: WebhookSettings, *, tls: ssl.SSLContext | None = None, resolve: Resolve = addresses_of
    ) -> None:
        if not settings.webhook_secrets:
            raise SettingsError("WANIMATE_WEBHOOK_SECRET: webhooks are signed with it; set it and start again")
        self._signers = [Webhook(secret) for secret in settings.webhook_secrets]
        self._timeout_seconds = settings.webhook_timeout_seconds
        self._user_agent = f"wanimate/{version('wanimate')}"
        networks = [ip_network(name) for name in settings.webhook_networks.split(",") if name]
        # As many threads as sends: one for each host that takes long. They are started as they are needed.
        self._resolvers = ThreadPoolExecutor(MAX_SENDS, "webhook-resolver")
        self._tls = tls or httpcore.default_ssl_context()
        self._networks = {
            scheme: GuardedNetwork(networks, allows_public=allows_public, executor=self._resolvers, resolve=resolve)
            for scheme, allows_public in ((b"https", True), (b"http", False))
        }

    def __repr__(self) -> str:
        return "WebhookClient()"

    async def post(self, url: str, event_id: str, body: bytes) -> Answer:
        """Send a webhook once, and return what came of it."""
        begun, answer = time.monotonic(), None
        try:
            target, headers = httpcore.URL(url), self._headers(url, event_id, body)
            async with (
                asyncio.timeout(self._timeout_seconds) as bound,
                self._connected(target) as connection,
                connection.stream("POST", target, headers=headers, content=body) as response,
            ):
                answer = _answer_of(response, time.monotonic() - begun)
                bound.reschedule(asyncio.get_running_loop().time() + _BODY_SECONDS)
                await _read(response)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is known whether the webhook was taken
            why = one_line(_reason_of(error)[:_MAX_REASON_CHARACTERS])
            answer = answer or Answer(why, time.monotonic() - begun)
        return answer

    def close(self) -> None:
        """End the threads that resolve host names."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)

    @asynccontextmanager
    async def _connected(self, target: httpcore.URL) -> AsyncIterator[httpcore.AsyncHTTP11Connection]:
        # A connection for each webhook: with many endpoints, looking for an idle one costs more than a new one.
        host = target.host.decode("ascii")
        raw = stream = await self._networks[target.scheme].connect_tcp(host, target.origin.port)
        try:
            if target.scheme == b"https":
                stream = await raw.start_tls(self._tls, host)
            async with httpcore.AsyncHTTP11Connection(target.origin, stream) as connection:
                yield connection
        finally:
            # Also where the time is up during the handshake, of which anyio leaves the socket open.
            await raw.aclose()

    def _headers(self, url: str, event_id: str, body: bytes) -> list[tuple[bytes | str, bytes | str]]:
        now, text = datetime.now(UTC), body.decode()
        return [
            # httpcore writes an IPv6 address without its brackets.
            ("host", urlsplit(url).netloc),
            ("connection", "close"),
            ("content-type", "application/json"),
            ("user-agent", self._user_agent),
            ("webhook-id", event_id),
            ("webhook-timestamp", str(int(now.timestamp()))),
            ("webhook-signature", " ".join(signer.sign(event_id, now, text) for signer in self._signers)),
        ]


def send_test(settings: WebhookSettings, url: str) -> Answer:
    """Send one signed webhook of type `wanimate.test` now, and return what came of it.

    It tells of a job `test` that has succeeded, so that a receiver reads it as any other.

    Raises:
        SettingsError: There is no secret.
    """
    result = Result(urls=("https://example.com/test.mp4",), task_id="test")
    event = Event(id="test", job_id="test", state=JobState.SUCCEEDED, settled_at=datetime.now(UTC), result=result)
    body = {**event.to_webhook(), "type": "wanimate.test"}

    async def send() -> Answer:
        client = WebhookClient(settings)
        try:
            return await client.post(url, f"test-{uuid4().hex}", orjson.dumps(body))
        finally:
            client.close()

    return asyncio.run(send())


def shown(url: str) -> str:
    """Return a URL without its query, which may be secret, for logs."""
    parts = urlsplit(url)
    return one_line(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")[:_MAX_URL_CHARACTERS]


def _answer_of(response: httpcore.Response, seconds: float) -> Answer:
    status, head = response.status, {name.lower(): value.decode("latin-1") for name, value in response.headers}
    why = "" if _OK <= status < _REDIRECTS else f"HTTP {status}"
    if _REDIRECTS <= status < _ERRORS:
        why += ", and redirects are not followed"
    return Answer(why, seconds, status, parse_retry_after(head.get(b"retry-after"), datetime.now(UTC)))


async def _read(response: httpcore.Response) -> None:
    size = 0
    async for chunk in response.aiter_stream():
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            return


def _reason_of(error: BaseException) -> str:
    # httpcore's errors say little; what they were made of says more.
    while not isinstance(error, _TELLING) and (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    match error:
        case socket.gaierror():
            why = f"its host name could not be resolved: {error.strerror}"
        case ssl.SSLCertVerificationError():
            why = f"its certificate was not accepted: {error.verify_message}"
        case TimeoutError():
            why = "no answer in time"
        case ConnectionRefusedError():
            why = "the connection was refused"
        case ConnectionError():
            why = "the connection was closed without an answer"
        case _:
            why = str(error) if isinstance(error, AddressRefused) else f"{type(error).__name__}: {error}"
    return why
