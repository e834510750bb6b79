"""How requests leave: one connection for each thread, certificates, and the proxies of the environment."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies, proxy_bypass

import httpx
from wanimate.errors import SettingsError

from .envelope import one_line

if TYPE_CHECKING:
    import ssl

#: An idle connection is not used again after this, in seconds. A server that closes it while a submission is on its
#: way leaves us not knowing whether the task was accepted, so we close first: Node.js and uvicorn wait 5 s, nginx and
#: the load balancers of the clouds a minute or more. A busy account uses each connection several times a second.
KEEPALIVE_EXPIRY_SECONDS: Final = 4.0
MAX_PORT: Final = 65_535

#: What httpx reads of the environment, if it is to be trusted (httpx documentation, "Environment Variables").
_PROXY_VARIABLES: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY")
_TLS_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
#: Python reads this one in any case (documentation of `ssl.create_default_context`).
_KEY_LOG: Final = "SSLKEYLOGFILE"


class Connections:
    """Hands each thread its own HTTP transport, made on first use; all of a process share one TLS context.

    One per thread, because the pool of a shared transport is scanned under one lock at every request. Measured on
    loopback, requests that take 300 ms, CPU per request with one pool per thread against one shared: 16 threads
    0.62 ms and 0.69 ms, 32 threads 0.66 ms and 0.76 ms, 64 threads 0.67 ms and 1.01 ms.

    After a fork the child starts with none: a connection that two processes write to would mix up their requests. The
    parent's transports are kept, untouched, because another thread may have held their locks at the fork.

    Args:
        base_url: Where the requests go.
        trust_env: Whether to use the environment's proxies and CA bundles.
    """

    def __init__(self, base_url: str, *, trust_env: bool) -> None:
        self._base_url = base_url
        self._trust_env = trust_env
        self._of_process: dict[int, _Process] = {}

    def get(self) -> httpx.HTTPTransport:
        """Return the transport of the calling thread.

        Raises:
            SettingsError: The environment's proxies or CA bundle cannot be used.
        """
        pid = os.getpid()
        # setdefault is one step: threads that come here together get the same one.
        process = self._of_process.get(pid) or self._of_process.setdefault(pid, _Process())
        owner: _Owner | None = getattr(process.local, "owner", None)
        if owner is None:
            owner = process.local.owner = self._add(process)
        return owner.transport

    def close(self) -> None:
        """Close the connections of this process; a later request opens new ones."""
        process = self._of_process.pop(os.getpid(), None)
        if process is not None:
            with process.lock:
                for close in process.closers:
                    close()

    def _add(self, process: _Process) -> _Owner:
        with process.lock:
            if process.context is None:
                process.context = _make_context(trust_env=self._trust_env)
            owner = _Owner(self._make_transport(process.context))
            closer = weakref.finalize(owner, owner.transport.close)
            closer.atexit = False  # at exit the system closes sockets, also those a fork inherited
            process.closers = [*(other for other in process.closers if other.alive), closer]
        return owner

    def _make_transport(self, context: ssl.SSLContext) -> httpx.HTTPTransport:
        # One thread has one request under way. httpx's own `retries` stay at 0, their default.
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEPALIVE_EXPIRY_SECONDS)
        if self._trust_env:
            _check_proxies()
        try:
            proxy = _proxy_for(self._base_url) if self._trust_env else None
            return httpx.HTTPTransport(verify=context, proxy=proxy, limits=limits)
        except Exception as error:
            if not self._trust_env:
                why = f"{type(error).__name__}: {one_line(str(error))}"
                raise SettingsError(f"no HTTP client can be made ({why}); is httpx installed whole?") from error
            # What is wrong with a proxy's URL is not quoted: it may hold a password.
            missing = ": a SOCKS proxy needs the package httpx[socks]" if isinstance(error, ImportError) else ""
            names = _set_among((*_PROXY_VARIABLES, "NO_PROXY"))
            raise _unusable_proxy(names, f"{type(error).__name__}{missing}") from error


@dataclass(slots=True)
class _Process:
    local: threading.local = field(default_factory=threading.local)
    lock: threading.Lock = field(default_factory=threading.Lock)
    closers: list[weakref.finalize[[], Any]] = field(default_factory=list)
    context: ssl.SSLContext | None = None


class _Owner:
    """Lives as long as its thread, and its transport with it."""

    __slots__ = ("__weakref__", "transport")

    def __init__(self, transport: httpx.HTTPTransport) -> None:
        self.transport = transport


def _make_context(*, trust_env: bool) -> ssl.SSLContext:
    folder = os.environ.get("SSL_CERT_DIR", "") if trust_env and not os.environ.get("SSL_CERT_FILE") else ""
    if folder and not Path(folder).is_dir():
        # OpenSSL would report no error and accept no server.
        raise SettingsError(
            f"SSL_CERT_DIR: {one_line(folder)} is not a folder; correct it, or unset WANIMATE_TRUST_ENV"
        )
    try:
        return httpx.create_ssl_context(trust_env=trust_env)
    except (OSError, ValueError) as error:
        why = f"{type(error).__name__}: {one_line(str(error))}"
        key_log = os.environ.get(_KEY_LOG)
        if key_log and getattr(error, "filename", None) == key_log:
            raise SettingsError(f"{_KEY_LOG}: the file cannot be written ({why}); correct or unset it") from error
        raise SettingsError(
            f"{_set_among(_TLS_VARIABLES)}: the certificates to trust cannot be read ({why}); name a readable PEM "
            "file, or unset WANIMATE_TRUST_ENV"
        ) from error


def _proxy_for(url: str) -> httpx.Proxy | None:
    """Return the proxy that the environment has for a URL; None if it has none, or `NO_PROXY` names its host."""
    target, proxies = httpx.URL(url), getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(target.netloc.decode("ascii")):
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


def _check_proxies() -> None:
    """Raise unless each proxy of the environment has an address, also those that are not for our URL."""
    for name, value in os.environ.items():
        if name.upper() not in _PROXY_VARIABLES or not value:
            continue
        try:
            url = httpx.URL(value.strip() if "://" in value else f"http://{value.strip()}")
        except (httpx.InvalidURL, UnicodeError) as error:
            raise _unusable_proxy(name, type(error).__name__) from error
        if not url.host or (url.port or 0) > MAX_PORT:
            raise _unusable_proxy(name, "no host, or no such port")


def _unusable_proxy(variables: str, why: str) -> SettingsError:
    return SettingsError(
        f"{variables}: the proxy of the environment cannot be used ({why}); correct it, or unset WANIMATE_TRUST_ENV to "
        "reach the vendor without a proxy"
    )


def _set_among(variables: tuple[str, ...]) -> str:
    """Return which of these variables are set, by name only."""
    there = [name for name in os.environ if name.upper() in variables and os.environ[name]]
    return ", ".join(sorted(there)) or "WANIMATE_TRUST_ENV"
