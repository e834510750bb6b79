"""The limits page, its JSON, the metrics and the health check over HTTP: `wanimate-worker ops`. It changes nothing."""

from __future__ import annotations

import base64
import hmac
from contextlib import asynccontextmanager
from http import HTTPStatus
from importlib.resources import files
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from prometheus_client.exposition import choose_encoder
from redis.exceptions import RedisError
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from wanimate.contract.cost import format_usd
from wanimate.errors import SettingsError

from ..addresses import is_loopback
from ..serving import open_hasty_database, serve
from ..settings import WorkerSettings
from ..telemetry import get_logger, set_up_logs
from . import rules, verdict
from .exports import SnapshotCollector, to_json
from .formatting import capitalize, number, percent, span
from .reading import Reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pydantic import SecretStr
    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .snapshot import Snapshot

log = get_logger(__name__)

#: How often the page reloads, in seconds.
_REFRESH_SECONDS: Final = 5
#: Concurrent requests; further ones get 503.
_MAX_REQUESTS: Final = 100
_HEALTH: Final = "/health"
_AWAY: Final = "Redis does not answer: check WANIMATE_REDIS_URL and the server, or run wanimate-worker doctor"
#: The page has one stylesheet and no script, so markup in a label cannot run.
_HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
_TEMPLATES: Final = Environment(
    loader=PackageLoader("wanimate_worker.health", "templates"),
    # Labels and the vendor's messages may have markup.
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(span=span, number=number, percent=percent, usd=format_usd, sentence=capitalize)
_TEMPLATES.globals.update(rules=rules, verdict=verdict, refresh_seconds=_REFRESH_SECONDS)


def run_ops(host: str, port: int) -> None:
    """Serve the page, JSON, metrics and health check until the process is stopped.

    Raises:
        SettingsError: Other machines could read them without a password, or a setting is wrong.
    """
    settings = WorkerSettings.load()
    set_up_logs(settings.log_format, settings.log_level)
    check_access(settings, host)
    serve(make_ops(settings), host, port, max_requests=_MAX_REQUESTS)


def check_access(settings: WorkerSettings, host: str) -> None:
    """Refuse to listen to other machines without a password.

    Raises:
        SettingsError: The host is not this machine, and there is no password.
    """
    if settings.ops_auth is None and not is_loopback(host):
        raise SettingsError(
            f"WANIMATE_OPS_AUTH: a password is required to listen on {host}: set it to user:password, or listen on "
            "127.0.0.1"
        )


def make_ops(settings: WorkerSettings) -> ASGIApp:
    """Return the app that shows the account of these settings.

    Raises:
        SettingsError: The Redis database belongs to another account.
    """
    redis, _ = open_hasty_database(settings)
    reader = Reader(redis, settings)

    # Plain functions: Starlette runs them in threads, because they wait for Redis.
    def page(_: Request) -> Response:
        return HTMLResponse(limits_page(reader.snapshot()))

    def json(_: Request) -> Response:
        return Response(orjson.dumps(to_json(reader.snapshot())), media_type="application/json")

    def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(SnapshotCollector(reader.snapshot())), headers={"content-type": content_type})

    def health(_: Request) -> Response:
        redis.ping()
        return JSONResponse({"status": "ok"})

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        redis.connection_pool.disconnect()

    routes = {"/": page, "/limits.json": json, "/metrics": metrics, "/style.css": _style, _HEALTH: health}
    app = Starlette(
        routes=[Route(path, endpoint) for path, endpoint in routes.items()],
        exception_handlers={RedisError: _without_redis},
        lifespan=lifespan,
    )
    return _Guard(app, settings.ops_auth)


def limits_page(now: Snapshot) -> str:
    """Return a snapshot as HTML, without scripts."""
    return _TEMPLATES.get_template("limits.html").render(now=now)


def _style(_: Request) -> Response:
    style = (files("wanimate_worker.health") / "templates" / "style.css").read_text()
    return Response(style, media_type="text/css")


def _without_redis(request: Request, error: Exception) -> Response:
    log.warning("Redis does not answer; the request gets 503", cause=type(error).__name__)
    match request.url.path:
        case "/":
            return HTMLResponse(_TEMPLATES.get_template("unavailable.html").render(), HTTPStatus.SERVICE_UNAVAILABLE)
        case "/metrics":
            # An empty answer would look like a successful scrape.
            return PlainTextResponse(_AWAY, HTTPStatus.SERVICE_UNAVAILABLE)
        case path:
            away = {"status": "Redis does not answer"} if path == _HEALTH else {"error": _AWAY}
            return JSONResponse(away, HTTPStatus.SERVICE_UNAVAILABLE)


class _Guard:
    """Checks the password, and adds the security headers to every answer.

    Args:
        app: The guarded app.
        auth: `user:password`; None to admit all requests that name this machine as host.
    """

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
            # A website can make a local browser send requests here under the website's name (DNS rebinding).
            host = _host_of(headers.get("host", ""))
            return (
                None
                if is_loopback(host)
                else PlainTextResponse("unknown host name: open http://127.0.0.1 instead", HTTPStatus.FORBIDDEN)
            )
        if hmac.compare_digest(_login_of(headers.get("authorization", "")), self._login):
            return None
        challenge = {"www-authenticate": 'Basic realm="Wanimate", charset="UTF-8"'}
        return PlainTextResponse(
            "log in with the user and password of WANIMATE_OPS_AUTH", HTTPStatus.UNAUTHORIZED, challenge
        )


def _login_of(authorization: str) -> bytes:
    """Return `user:password` as it was sent; empty if it was not."""
    scheme, _, encoded = authorization.partition(" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except ValueError:
        return b""


def _host_of(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
