"""The URL of Redis: read once, and written in the form of each library, and for people without its password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

_PLAIN: Final = {"redis", "rediss", "unix"}
_SENTINEL: Final = {"sentinel", "sentinel+tls"}
_PORT: Final = 6379
_SENTINEL_PORT: Final = 26379
#: Options of a URL about TLS, as redis-py, Celery and kombu alike call them.
_TLS_OPTIONS: Final = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
#: A name or an address; of an IPv6 address `urlsplit` has taken the brackets.
_HOST: Final = re.compile(r"[A-Za-z0-9_.:-]+")
_PLAIN_OPTIONS: Final = ("db", "username", "password")
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


def canonical_url(url: str) -> str:
    """Return the URL of Redis in the one form that every library here reads in the same way.

    Raises:
        ValueError: It is no address of Redis; the message never quotes it.
    """
    url = url.strip()
    if not url.isprintable() or " " in url:
        raise ValueError("it contains a space or an invisible character: remove it, or percent-encode it")
    if "#" in url:
        raise ValueError("it contains a #: percent-encode it, as %23")
    try:
        parts = _split(url)
    except ValueError:
        raise ValueError("it is not a URL: is there a bracket or a slash that must be percent-encoded?") from None
    if parts.scheme not in _PLAIN | _SENTINEL or not url[len(parts.scheme) :].startswith("://"):
        raise ValueError("a redis://, rediss://, unix://, sentinel:// or sentinel+tls:// URL is expected")
    if parts.scheme in _SENTINEL:
        _read_sentinel(parts)
        return f"{parts.scheme}{url[len(parts.scheme) :]}"
    return _canonical(parts)


def sentinel_of(url: str) -> SentinelAddress | None:
    """Return the sentinels of a canonical URL; None if it names the server itself."""
    parts = _split(url)
    return _read_sentinel(parts) if parts.scheme in _SENTINEL else None


def tls_of(url: str) -> dict[str, str] | None:
    """Return how certificates are checked, which they are unless the URL says otherwise; None without TLS.

    Celery's own default for TLS is not to check the server's certificate.
    """
    parts = _split(url)
    return _tls(_query(parts)) if parts.scheme in {"rediss", "sentinel+tls"} else None


def without_secrets(text: str, url: str) -> str:
    """Return a text, such as a library's error, without the passwords of the URL."""
    parts = _split(url)
    raw = parts.netloc.rpartition("@")[0].partition(":")[2]
    for secret in {raw, unquote(raw), _query(parts).get("sentinel_password", "")} - {""}:
        text = text.replace(secret, "***")
    return text


def _split(url: str) -> SplitResult:
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in _SENTINEL:
        return urlsplit(url)
    # Newer Pythons take brackets only around the one host of a URL; here there may be several hosts.
    hosts = re.split("[/?#]", rest, maxsplit=1)[0]
    return urlsplit(f"{scheme}://_{rest[len(hosts) :]}")._replace(netloc=hosts)


def _query(parts: SplitResult) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("what follows the ? is not name=value: percent-encode a ? of the password, as %3F") from None
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an option is given twice")
    return dict(pairs)


def _check_options(query: Mapping[str, str], known: set[str]) -> None:
    unknown = sorted(query.keys() - known)
    if "ssl" in unknown:
        raise ValueError("it has no option ssl: TLS is a matter of the scheme, rediss:// or sentinel+tls://")
    if unknown:
        raise ValueError(f"it has no option {', '.join(unknown)}; it may have {', '.join(sorted(known))}")


def _database(text: str) -> int:
    number = text.strip("/") or "0"
    if not re.fullmatch("[0-9]{1,9}", number):
        raise ValueError("a number is expected for the database, as in redis://host:6379/0")
    return int(number)


def _canonical(parts: SplitResult) -> str:
    """Return a URL without the ways to say the same that only some libraries know."""
    query = _query(parts)
    _check_options(query, {*_PLAIN_OPTIONS, *(_TLS_OPTIONS if parts.scheme == "rediss" else ())})
    login, _, server = parts.netloc.rpartition("@")
    if not login and (query.get("username") or query.get("password")):
        login = ":".join(quote(query.get(name, ""), safe="") for name in ("username", "password"))
    login = f"{login}@" if login else ""
    if parts.scheme == "unix":
        if server or not parts.path.strip("/"):
            raise ValueError("the path of a socket is expected after three slashes, as in unix:///run/redis.sock")
        return f"unix://{login}{parts.path}?{urlencode({'db': _database(query.get('db', ''))})}"
    host, port = _server(server)
    database = _database(query.get("db") or parts.path)
    options = f"?{urlencode(_tls(query))}" if parts.scheme == "rediss" else ""
    return f"{parts.scheme}://{login}{_joined(host, port)}/{database}{options}"


def _server(text: str) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = "", 0
    if port == 0 or not _HOST.fullmatch(host or "localhost"):
        raise ValueError(
            "a host and a port from 1 to 65535 are expected, as in redis://host:6379/0; percent-encode a : or / of the "
            "password, as %3A or %2F"
        )
    return host or "localhost", port or _PORT


def _read_sentinel(parts: SplitResult) -> SentinelAddress:
    login, _, hosts = parts.netloc.rpartition("@")
    username, _, password = (unquote(part) for part in login.partition(":"))
    query = _query(parts)
    _check_options(query, {*_SENTINEL_OPTIONS, *_TLS_OPTIONS})
    service = query.get("service")
    if not service:
        raise ValueError("the name of the master is missing, as in sentinel://host:26379,host:26379/0?service=mymaster")
    if parts.scheme == "sentinel" and query.keys() & set(_TLS_OPTIONS):
        raise ValueError("ssl_ options need sentinel+tls://")
    return SentinelAddress(
        hosts=tuple(_host(host) for host in hosts.split(",")),
        service=service,
        database=_database(parts.path),
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
        host, port = None, 0
    if not host or port == 0 or not _HOST.fullmatch(host):
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
