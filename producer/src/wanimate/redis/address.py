"""The URL of Redis: read once, and written in the form of each library, and for people without its password."""

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
#: Options of a URL about TLS, as redis-py, Celery and kombu alike call them.
_TLS_OPTIONS: Final = ("ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
_SENTINEL_OPTIONS: Final = ("service", "sentinel_username", "sentinel_password")
#: A name or an address; of an IPv6 address `urlsplit` has taken the brackets.
_HOST: Final = re.compile(r"[A-Za-z0-9_.:-]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where Redis is: a server, a socket, or the sentinels that know which server is the master."""

    scheme: str
    #: Names and ports of the server, or of the sentinels; none for a socket, which has a path.
    hosts: tuple[tuple[str, int], ...]
    path: str
    database: int
    username: str | None
    password: str | None = field(repr=False)
    #: The name under which sentinels watch the master; None for a server or a socket.
    service: str | None
    #: The login at the sentinels themselves.
    sentinel_username: str | None
    sentinel_password: str | None = field(repr=False)
    #: How certificates are checked, `ssl_…` as redis-py calls it; None without TLS.
    tls: dict[str, str] | None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL.

        Raises:
            ValueError: It is no address of Redis, or some library would read it in another way; the message never
                quotes it.
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
            raise ValueError("the path of a socket is expected after three slashes, as in unix:///run/redis.sock")
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
        """The address in the one form that every library here reads in the same way."""
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
        """The address as Celery and kombu spell it: they have no `unix://`.

        Of sentinels each part carries user, password and database: kombu takes them from whichever part it tries.
        """
        if self.path:
            return f"redis+socket://{self._login}{self.path}?virtual_host={self.database}"
        if self.service is None:
            return self.url
        return ";".join(f"sentinel://{self._login}{server}/{self.database}" for server in self._servers)

    def without_secrets(self, text: str) -> str:
        """Return a text, such as a library's error, without the passwords."""
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
        raise ValueError("a redis://, rediss://, unix://, sentinel:// or sentinel+tls:// URL is expected")
    try:
        if scheme.lower() not in _SENTINEL:
            return urlsplit(url)
        # Newer Pythons take brackets only around the one host of a URL; here there may be several hosts.
        hosts = re.split("[/?]", rest, maxsplit=1)[0]
        return urlsplit(f"{scheme}://_{rest[len(hosts) :]}")._replace(netloc=hosts)
    except ValueError:
        raise ValueError("it is not a URL: is there a bracket or a slash that must be percent-encoded?") from None


def _query(parts: SplitResult) -> dict[str, str]:
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError("what follows the ? is not name=value: percent-encode a ? of the password, as %3F") from None
    if len(dict(pairs)) < len(pairs):
        raise ValueError("an option is given twice")
    return dict(pairs)


def _check_options(query: dict[str, str], scheme: str) -> None:
    known = set(_SENTINEL_OPTIONS) if scheme in _SENTINEL else {"db", "username", "password"}
    if scheme in _TLS | _SENTINEL:
        known |= set(_TLS_OPTIONS)
    unknown = sorted(query.keys() - known)
    if "ssl" in unknown:
        raise ValueError("it has no option ssl: TLS is a matter of the scheme, rediss:// or sentinel+tls://")
    if unknown:
        raise ValueError(f"it has no option {', '.join(unknown)}; it may have {', '.join(sorted(known))}")
    if scheme in _SENTINEL and not query.get("service"):
        raise ValueError("the name of the master is missing, as in sentinel://host:26379,host:26379/0?service=mymaster")
    if scheme == "sentinel" and query.keys() & set(_TLS_OPTIONS):
        raise ValueError("ssl_ options need sentinel+tls://")


def _database(text: str) -> int:
    number = text.strip("/") or "0"
    if not re.fullmatch("[0-9]{1,9}", number):
        raise ValueError("a number is expected for the database, as in redis://host:6379/0")
    return int(number)


def _hosts(text: str, *, is_sentinel: bool) -> tuple[tuple[str, int], ...]:
    told = (
        "hosts of sentinels are expected, as in sentinel://host:26379,host:26379/0?service=mymaster"
        if is_sentinel
        else "a host and a port from 1 to 65535 are expected, as in redis://host:6379/0; percent-encode a : or / of "
        "the password, as %3A or %2F"
    )
    if not is_sentinel and text[:1] in {"", ":"}:
        text = f"localhost{text}"
    hosts = []
    for each in text.split(",") if is_sentinel else [text]:
        try:
            parts = urlsplit(f"//{each}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise ValueError(told) from None
        if port == 0 or not _HOST.fullmatch(host):
            raise ValueError(told)
        hosts.append((host, port or (26379 if is_sentinel else 6379)))
    return tuple(hosts)


def _tls(query: dict[str, str]) -> dict[str, str]:
    """Return how certificates are checked, which they are unless the URL says otherwise; Celery's default is not to."""
    options: dict[str, str] = {name: query[name] for name in _TLS_OPTIONS if name in query}
    # Celery's documentation writes CERT_REQUIRED, redis-py required.
    options["ssl_cert_reqs"] = options.get("ssl_cert_reqs", "required").removeprefix("CERT_").lower()
    if options["ssl_cert_reqs"] not in {"required", "optional", "none"}:
        raise ValueError("ssl_cert_reqs is required, optional or none")
    return options
