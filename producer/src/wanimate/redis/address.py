"""Parses the URL of Redis and writes it in the form of each library, or without its password."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_SENTINEL: Final = {"sentinel", "sentinel+tls"}
_TLS: Final = {"rediss", "sentinel+tls"}
_SCHEMES: Final = {"redis", "rediss", "unix", *_SENTINEL}
#: TLS options of a URL; redis-py, Celery and kombu use the same names.
_TLS_OPTIONS: Final = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL_OPTIONS: Final = ("service", "sentinel_username", "sentinel_password")
#: A name or an address; `urlsplit` has removed the brackets of an IPv6 address.
_HOST: Final = re.compile(r"[A-Za-z0-9_.:-]+")


@dataclass(frozen=True, slots=True)
class Address:
    """The address of Redis: a server, a socket, or sentinels that know the master."""

    scheme: str
    #: Names and ports of the server or of the sentinels; empty for a socket.
    hosts: tuple[tuple[str, int], ...]
    path: str
    database: int
    username: str | None
    password: str | None = field(repr=False)
    #: The name of the master at the sentinels; None for a server or a socket.
    service: str | None
    #: The login at the sentinels.
    sentinel_username: str | None
    sentinel_password: str | None = field(repr=False)
    #: The `ssl_…` options of redis-py; None without TLS.
    tls: dict[str, str] | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Parse a URL.

        Raises:
            ValueError: The URL is invalid, or libraries would disagree about it; the message does not quote it.
        """
        parts = _split(url.strip())
        is_socket, is_sentinel = parts.scheme == "unix", parts.scheme in _SENTINEL
        query = _query(parts)
        _check_options(query, parts.scheme)
        login, _, server = parts.netloc.rpartition("@")
        username, _, password = (unquote(part) for part in login.partition(":"))
        if not login:
            username, password = query.get("username", ""), query.get("password", "")
        if is_socket and (server or not parts.path.strip("/")):
            raise ValueError("expected the path of a socket after three slashes, as in unix:///run/redis.sock")
        return cls(
            parts.scheme,
            () if is_socket else _hosts(server, is_sentinel=is_sentinel),
            parts.path if is_socket else "",
            _database(query.get("db") or ("" if is_socket else parts.path)),
            username or None,
            password or None,
            query.get("service"),
            query.get("sentinel_username"),
            query.get("sentinel_password"),
            _tls(query) if parts.scheme in _TLS else None,
        )

    @property
    def url(self) -> str:
        """The address in the one form that all libraries read in the same way."""
        options = dict(self.tls or {})
        if self.service is not None:
            named = zip(_SENTINEL_OPTIONS, (self.service, self.sentinel_username, self.sentinel_password), strict=True)
            options = {**{name: value for name, value in named if value is not None}, **options}
        if self.path:
            return f"unix://{self._login}{self.path}?db={self.database}"
        query = f"?{urlencode(options)}" if options else ""
        return f"{self.scheme}://{self._login}{','.join(self._servers)}/{self.database}{query}"

    @property
    def celery_url(self) -> str:
        """The address in the form of Celery and kombu, which do not support `unix://`.

        For sentinels, each part has user, password and database: kombu reads them from the part that it tries.
        """
        if self.path:
            return f"redis+socket://{self._login}{self.path}?virtual_host={self.database}"
        if self.service is None:
            return self.url
        return ";".join(f"sentinel://{self._login}{server}/{self.database}" for server in self._servers)

    def without_secrets(self, text: str) -> str:
        """Return a text, such as an error of a library, without the passwords."""
        password = self.password or ""
        for secret in {quote(password, safe=""), password, self.sentinel_password or ""} - {""}:
            text = text.replace(secret, "***")
        return text

    def __str__(self) -> str:
        place = self.path or f"{','.join(self._servers)}/{self.database}"
        return place if self.service is None else f"{place} ({self.service})"

    @property
    def _login(self) -> str:
        user, password = (quote(part or "", safe="") for part in (self.username, self.password))
        return f"{user}:{password}@" if password else f"{user}@" if user else ""

    @property
    def _servers(self) -> list[str]:
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts]


def _split(url: str) -> SplitResult:
    if not url.isprintable() or " " in url:
        raise ValueError("it contains a space or an invisible character: remove it, or percent-encode it")
    if "#" in url:
        raise ValueError("it contains a #: percent-encode it, as %23")
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.lower() not in _SCHEMES:
        raise ValueError("expected a redis://, rediss://, unix://, sentinel:// or sentinel+tls:// URL")
    try:
        if scheme.lower() not in _SENTINEL:
            return urlsplit(url)
        # Newer versions of Python accept brackets only around a single host.
        hosts = re.split("[/?]", rest, maxsplit=1)[0]
        return urlsplit(f"{scheme}://_{rest[len(hosts) :]}")._replace(netloc=hosts)
    except ValueError:
        raise ValueError("not a URL: percent-encode brackets and slashes in the password") from None


def _query(parts: SplitResult) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("expected name=value after the ?: percent-encode a ? in the password as %3F") from None
    if len(dict(pairs)) < len(pairs):
        raise ValueError("it has a duplicate option")
    return dict(pairs)


def _check_options(query: dict[str, str], scheme: str) -> None:
    known = set(_SENTINEL_OPTIONS) if scheme in _SENTINEL else {"db", "username", "password"}
    if scheme in _TLS | _SENTINEL:
        known |= set(_TLS_OPTIONS)
    unknown = sorted(query.keys() - known)
    if "ssl" in unknown:
        raise ValueError("unknown option ssl: use the scheme rediss:// or sentinel+tls:// for TLS")
    if unknown:
        raise ValueError(f"unknown option {', '.join(unknown)}; known options: {', '.join(sorted(known))}")
    if scheme in _SENTINEL and not query.get("service"):
        raise ValueError("the name of the master is missing, as in sentinel://host:26379,host:26379/0?service=mymaster")
    if scheme == "sentinel" and query.keys() & set(_TLS_OPTIONS):
        raise ValueError("ssl_ options require sentinel+tls://")


def _database(text: str) -> int:
    number = text.strip("/") or "0"
    if not re.fullmatch("[0-9]{1,9}", number):
        raise ValueError("expected a number as the database, as in redis://host:6379/0")
    return int(number)


def _hosts(text: str, *, is_sentinel: bool) -> tuple[tuple[str, int], ...]:
    problem = (
        "expected the hosts of sentinels, as in sentinel://host:26379,host:26379/0?service=mymaster"
        if is_sentinel
        else "expected a host and a port from 1 to 65535, as in redis://host:6379/0; percent-encode a : or / in the "
        "password as %3A or %2F"
    )
    if not is_sentinel and text[:1] in {"", ":"}:
        text = f"localhost{text}"
    hosts = []
    for each in text.split(",") if is_sentinel else [text]:
        try:
            parts = urlsplit(f"//{each}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(problem) from None
        if port == 0 or not _HOST.fullmatch(host):
            raise ValueError(problem)
        hosts.append((host, port or (26379 if is_sentinel else 6379)))
    return tuple(hosts)


def _tls(query: dict[str, str]) -> dict[str, str]:
    """Return the TLS options; certificates are verified by default, which is not Celery's default."""
    options: dict[str, str] = {name: query[name] for name in _TLS_OPTIONS if name in query}
    # Celery documents CERT_REQUIRED, redis-py required.
    options["ssl_cert_reqs"] = options.get("ssl_cert_reqs", "required").removeprefix("CERT_").lower()
    if options["ssl_cert_reqs"] not in {"required", "optional", "none"}:
        raise ValueError("ssl_cert_reqs: expected required, optional or none")
    return options
