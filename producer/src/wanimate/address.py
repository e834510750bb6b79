"""Where Redis is: one URL, read once, told to each library in its own words and to people without the password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

_PLAIN: Final = {"redis", "rediss", "unix"}
_SENTINEL: Final = {"sentinel", "sentinel+tls"}
_SENTINEL_PORT: Final = 26379
#: What a URL may say about TLS, in the words of redis-py, Celery and kombu alike.
_TLS_OPTIONS: Final = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL_OPTIONS: Final = ("service", "sentinel_username", "sentinel_password")


@dataclass(frozen=True, slots=True)
class SentinelAddress:
    """The sentinels that know which server is the master.

    Args:
        hosts: Names and ports of the sentinels.
        service: The name under which they watch the master.
        database: The number of the database on it.
        username: The user there.
        password: Its password.
        sentinel_username: The user at the sentinels themselves.
        sentinel_password: Its password.
        tls: How certificates are checked, `ssl_…` as redis-py calls it; None without TLS.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sentinel_username: str | None = None
    sentinel_password: str | None = field(default=None, repr=False)
    tls: Mapping[str, str] | None = None

    @property
    def celery_url(self) -> str:
        """The address as Celery and kombu spell it.

        Each part carries user, password and database: kombu takes them from whichever part it tries.
        """
        user = ":".join(quote(part or "", safe="") for part in (self.username, self.password))
        login = f"{user}@" if user != ":" else ""
        return ";".join(f"sentinel://{login}{_joined(host, port)}/{self.database}" for host, port in self.hosts)

    def __str__(self) -> str:
        hosts = ",".join(_joined(host, port) for host, port in self.hosts)
        return f"{hosts}/{self.database} ({self.service})"


def check_url(url: str) -> None:
    """Raise a `ValueError`, which never quotes the URL, if this is no address of Redis."""
    try:
        parts = _split(url)
    except ValueError:
        raise ValueError("it is not a URL: is there a bracket or a slash that must be percent-encoded?") from None
    if parts.scheme in _SENTINEL:
        _read_sentinel(parts)
    elif parts.scheme not in _PLAIN or not (parts.netloc or parts.path):
        raise ValueError("a redis://, rediss://, unix://, sentinel:// or sentinel+tls:// URL is expected")


def sentinel_of(url: str) -> SentinelAddress | None:
    """Return the sentinels of a URL that `check_url` has seen; None if it names the server itself."""
    parts = _split(url)
    return _read_sentinel(parts) if parts.scheme in _SENTINEL else None


def tls_of(url: str) -> dict[str, str] | None:
    """Return how certificates are checked, which they are unless the URL says otherwise; None without TLS.

    Celery's own default for TLS is not to check the server's certificate.
    """
    parts = _split(url)
    return _tls(dict(parse_qsl(parts.query))) if parts.scheme in {"rediss", "sentinel+tls"} else None


def without_secrets(text: str, url: str) -> str:
    """Return a text, such as a library's error, without the passwords of the URL."""
    parts = _split(url)
    raw = parts.netloc.rpartition("@")[0].partition(":")[2]
    given = dict(parse_qsl(parts.query))
    for secret in {raw, unquote(raw), *(given.get(name, "") for name in ("password", "sentinel_password"))} - {""}:
        text = text.replace(secret, "***")
    return text


def _split(url: str) -> SplitResult:
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in _SENTINEL:
        return urlsplit(url)
    # Newer Pythons take brackets only around the one host of a URL; here there may be several hosts.
    hosts = re.split("[/?#]", rest, maxsplit=1)[0]
    return urlsplit(f"{scheme}://_{rest[len(hosts) :]}")._replace(netloc=hosts)


def _read_sentinel(parts: SplitResult) -> SentinelAddress:
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = (unquote(part) for part in login.partition(":"))
    query = dict(parse_qsl(parts.query))
    unknown = query.keys() - {*_SENTINEL_OPTIONS, *_TLS_OPTIONS}
    if unknown:
        raise ValueError(f"it has no option {', '.join(sorted(unknown))}")
    service = query.get("service")
    if not service:
        raise ValueError("the name of the master is missing, as in sentinel://host:26379,host:26379/0?service=mymaster")
    if parts.scheme == "sentinel" and query.keys() & set(_TLS_OPTIONS):
        raise ValueError("ssl_ options need sentinel+tls://")
    try:
        database = int(parts.path.strip("/") or 0)
    except ValueError:
        raise ValueError("a number is expected for the database, as in sentinel://host:26379/0") from None
    return SentinelAddress(
        hosts=tuple(_host(host) for host in hosts.split(",")),
        service=service,
        database=database,
        username=username or None,
        password=password or None,
        sentinel_username=query.get("sentinel_username"),
        sentinel_password=query.get("sentinel_password"),
        tls=_tls(query) if parts.scheme == "sentinel+tls" else None,
    )


def _host(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:
        raise ValueError("hosts of sentinels are expected, as in sentinel://host:26379,host:26379/0?service=mymaster")
    return host, port or _SENTINEL_PORT


def _joined(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tls(query: Mapping[str, str]) -> dict[str, Any]:
    options = {name: query[name] for name in _TLS_OPTIONS if name in query}
    # Celery's documentation writes CERT_REQUIRED, redis-py required.
    options["ssl_cert_reqs"] = options.get("ssl_cert_reqs", "required").removeprefix("CERT_").lower()
    if options["ssl_cert_reqs"] not in {"required", "optional", "none"}:
        raise ValueError("ssl_cert_reqs is required, optional or none")
    return options
