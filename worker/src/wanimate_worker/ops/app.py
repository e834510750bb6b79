"""The limits page, the metrics and the health check as an ASGI app; it changes nothing."""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson
from prometheus_client.exposition import choose_encoder
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..addresses import is_loopback
from ..observability import get_logger
from .facts import facts_of
from .metrics import registry_of
from .page import limits_page, stylesheet, unavailable_page

if TYPE_CHECKING:
    from pydantic import SecretStr
    from redis import Redis
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .reading import Reader

log = get_logger(__name__)

_UNAUTHORISED: Final = 401
_FORBIDDEN: Final = 403
_UNAVAILABLE: Final = 503
_HEALTH: Final = "/health"
_AWAY: Final = "Redis does not answer: check WANIMATE_REDIS_URL and the server; wanimate-worker doctor says more"
#: The page has one stylesheet and nothing else: whatever a label smuggled in would not run.
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class OpsApp:
    """Serves one account's figures.

    Args:
        reader: Reads them.
        redis: The connection for the health check.
        auth: Who may see them, as `user:password`; None for whoever reaches it under a name of this machine.
    """

    def __init__(self, reader: Reader, redis: Redis, auth: SecretStr | None) -> None:
        self._reader = reader
        self._redis = redis
        routes = [
            Route("/", self._page),
            Route("/limits.json", self._json),
            Route("/metrics", self._metrics),
            Route("/style.css", self._style),
            Route(_HEALTH, self._health),
        ]
        self._app = _Guard(Starlette(routes=routes), auth)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self._app(scope, receive, send)

    # These are plain functions: Starlette runs them in threads, for Redis makes them wait.

    def _page(self, _: Request) -> Response:
        try:
            return HTMLResponse(limits_page(self._reader.snapshot()))
        except RedisError as error:
            _tell(error)
            return HTMLResponse(unavailable_page(), _UNAVAILABLE)

    def _json(self, _: Request) -> Response:
        try:
            facts = facts_of(self._reader.snapshot())
        except RedisError as error:
            _tell(error)
            return JSONResponse({"error": _AWAY}, _UNAVAILABLE)
        return Response(orjson.dumps(facts), media_type="application/json")

    def _metrics(self, request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        try:
            registry = registry_of(self._reader.snapshot())
        except RedisError as error:
            # Not an empty answer: Prometheus shall see that nothing is known.
            _tell(error)
            return PlainTextResponse(_AWAY, _UNAVAILABLE)
        return Response(encode(registry), headers={"content-type": content_type})

    def _style(self, _: Request) -> Response:
        return Response(stylesheet(), media_type="text/css")

    def _health(self, _: Request) -> Response:
        try:
            self._redis.ping()
        except RedisError:
            return JSONResponse({"status": "Redis does not answer"}, _UNAVAILABLE)
        return JSONResponse({"status": "ok"})


class _Guard:
    """Lets in who may see the figures, and puts the same headers on every answer."""

    def __init__(self, app: ASGIApp, auth: SecretStr | None) -> None:
        self._app = app
        self._login = None if auth is None else auth.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = None if scope["path"] == _HEALTH else self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, headers: Headers) -> Response | None:
        if self._login is None:
            # A page of the Internet may make a browser on this machine ask us, under a name of its own (DNS rebinding).
            host = _host_of(headers.get("host", ""))
            return None if is_loopback(host) else PlainTextResponse("open it as http://127.0.0.1", _FORBIDDEN)
        if hmac.compare_digest(_login_of(headers.get("authorization", "")), self._login):
            return None
        challenge = {"www-authenticate": 'Basic realm="Wanimate", charset="UTF-8"'}
        return PlainTextResponse("user and password are needed: WANIMATE_OPS_AUTH", _UNAUTHORISED, headers=challenge)


def _login_of(authorization: str) -> bytes:
    """Return `user:password` as it was sent; empty if it was not."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except ValueError:
        return b""


def _host_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _tell(error: RedisError) -> None:
    log.warning("no figures, Redis is away", cause=type(error).__name__)
