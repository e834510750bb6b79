"""What the HTTP client takes from the environment: proxies and certificates, each wrong one told in one line."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.request import getproxies, proxy_bypass

import httpx
from wanimate.errors import SettingsError

from .envelope import one_line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

#: What httpx reads of the environment, if it is to be trusted (httpx documentation, "Environment Variables").
_PROXY_VARIABLES: Final = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
_TLS_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")
#: Python reads this one in any case (documentation of `ssl.create_default_context`).
_KEY_LOG: Final = "SSLKEYLOGFILE"

MAX_PORT: Final = 65_535


def make_context(*, trust_env: bool) -> ssl.SSLContext:
    """Return a TLS context.

    Args:
        trust_env: Whether the certificates to trust are those of the environment.

    Raises:
        SettingsError: They cannot be read.
    """
    folder = os.environ.get("SSL_CERT_DIR", "") if trust_env and not os.environ.get("SSL_CERT_FILE") else ""
    if folder and not Path(folder).is_dir():
        # OpenSSL would say nothing, and trust no server.
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
            f"{_named(_TLS_VARIABLES)}: the certificates to trust cannot be read ({why}); name a readable PEM file, or "
            "unset WANIMATE_TRUST_ENV"
        ) from error


@contextmanager
def client_errors(*, trust_env: bool) -> Iterator[None]:
    """Tell in one line why the HTTP client cannot be made.

    Args:
        trust_env: Whether it takes its proxies from the environment.

    Raises:
        SettingsError: It could not be made.
    """
    if trust_env:
        check_proxies()
    try:
        yield
    except Exception as error:
        if not trust_env:
            why = f"{type(error).__name__}: {one_line(str(error))}"
            raise SettingsError(f"no HTTP client can be made ({why}); is httpx installed whole?") from error
        # What is wrong with a proxy's URL is not quoted: it may hold a password.
        missing = ": a SOCKS proxy needs the package httpx[socks]" if isinstance(error, ImportError) else ""
        raise _unusable(_named(_PROXY_VARIABLES), f"{type(error).__name__}{missing}") from error


def proxy_for(url: str) -> httpx.Proxy | None:
    """Return the proxy that the environment has for a URL; None if it has none, or `NO_PROXY` names its host.

    Args:
        url: The URL.
    """
    target, proxies = httpx.URL(url), getproxies()
    proxy = proxies.get(target.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(target.netloc.decode("ascii")):
        return None
    return httpx.Proxy(proxy if "://" in proxy else f"http://{proxy}")


def check_proxies() -> None:
    """Make sure that each proxy of the environment has an address.

    Raises:
        SettingsError: One has no host, or no such port exists.
    """
    for name, value in os.environ.items():
        if name.upper() not in _PROXY_VARIABLES or name.upper() == "NO_PROXY" or not value:
            continue
        try:
            url = httpx.URL(value.strip() if "://" in value else f"http://{value.strip()}")
        except (httpx.InvalidURL, UnicodeError) as error:
            raise _unusable(name, type(error).__name__) from error
        if not url.host or (url.port or 0) > MAX_PORT:
            raise _unusable(name, "no host, or no such port")


def _unusable(variables: str, why: str) -> SettingsError:
    return SettingsError(
        f"{variables}: the proxy of the environment cannot be used ({why}); correct it, or unset WANIMATE_TRUST_ENV to "
        "reach the vendor without a proxy"
    )


def _named(variables: tuple[str, ...]) -> str:
    """Return which of these variables are set, by name only."""
    there = [name for name in os.environ if name.upper() in variables and os.environ[name]]
    return ", ".join(sorted(there)) or "WANIMATE_TRUST_ENV"
