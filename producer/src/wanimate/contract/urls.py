"""Checks that the vendor can fetch the URLs of a job."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

MAX_URL_CHARACTERS: Final = 4096

_SCHEMES: Final = ("http", "https")
#: Maximum length of a host name (RFC 1035, 2.3.4).
_MAX_HOST_CHARACTERS: Final = 253
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_IPV6_ADDRESS: Final = re.compile(r"\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]")
#: The start of a second URL. A URL inside the first, as in `https://proxy/https://…` or `?url=https://…`, follows a
#: slash, an equals sign or an escape.
_SECOND_URL: Final = re.compile(r"(?<!%[0-9A-Fa-f]{2})(?<=[\w,;|'\"<>()\[\]{}])https?://", re.IGNORECASE)
#: Unicode categories that a URL does not contain unescaped.
_UNSEEN: Final = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Co": "a private character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Zs": "a space",
}
#: Other invisible letters and marks (Unicode, Default_Ignorable_Code_Point).
_IGNORABLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: File formats that the vendor accepts (vendor document, "Parameters", and its pages on files).
IMAGE_EXTENSIONS: Final = ("jpg", "jpeg", "png", "webp")
VIDEO_EXTENSIONS: Final = ("mp4", "mov", "m4v")
#: Extensions of server programs, which do not tell the format of the response.
_PROGRAMS: Final = frozenset({"action", "ashx", "asp", "aspx", "cgi", "dll", "do", "jsp", "php", "pl"})
#: A longer suffix, or one of digits only, is not an extension but a version, a host or a hash.
_EXTENSION: Final = re.compile(r"(?=[0-9]*[a-z])[a-z0-9]{1,5}", re.ASCII)


def is_host_allowed(url: str, patterns: str) -> bool:
    """Return whether the host of a URL is allowed.

    Args:
        url: A valid URL.
        patterns: Hosts, separated by commas or spaces; `*.example.com` matches all subdomains. Empty: any host.
    """
    host, wanted = (urlsplit(url).hostname or "").lower(), patterns.lower().replace(",", " ").split()
    return not wanted or any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in wanted)


def check_http_url(url: str) -> None:
    """Raise `ValueError` if the vendor cannot fetch this URL; messages do not quote it because it may be signed."""
    if len(url) > MAX_URL_CHARACTERS:
        raise ValueError(f"expected a URL of at most {MAX_URL_CHARACTERS} characters, got {len(url)}")
    _check_characters(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("not a URL: the brackets around the host are invalid") from None
    if parts.scheme not in _SCHEMES or not url[len(parts.scheme) :].startswith("://"):
        raise ValueError("expected an http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("it contains a user name or a password: use a signed URL instead")
    host, has_port, port = parts.netloc.rpartition(":")
    if not has_port or port.endswith("]"):
        host, port = parts.netloc, ""
    if not host:
        raise ValueError(f"the host is missing after {parts.scheme}://")
    if host.lower() in _SCHEMES or _SECOND_URL.search(url, len(parts.scheme) + 3):
        raise ValueError("it contains two URLs: expected one")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[-6:]) <= 65_535):  # noqa: PLR2004 - 16 bits
        raise ValueError("the port is not a number from 1 to 65535")
    if not _IPV6_ADDRESS.fullmatch(host) and not _is_name(host):
        raise ValueError("the host is not a valid name or IP address")


def check_format(url: str, what: str, allowed: tuple[str, ...]) -> None:
    """Raise `ValueError` if the path of a URL has the extension of a format that the vendor does not accept.

    URLs without an extension, or with that of a program such as `.php`, are accepted. Query and fragment do not count.
    """
    # An object store may escape the slash before the file name, as in `/videos%2Fmotion.mp4`.
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if _EXTENSION.fullmatch(extension) and extension not in {*allowed, *_PROGRAMS}:
        formats = ", ".join(allowed[:-1]).upper() + f" or {allowed[-1].upper()}"
        raise ValueError(f"the vendor accepts {what} as {formats}, but this URL ends in .{extension}")


def _check_characters(url: str) -> None:
    if url.isascii() and url.isprintable() and " " not in url and "\\" not in url:
        return
    for place, character in enumerate(url, start=1):
        what = "an invisible character" if _IGNORABLE.match(character) else _UNSEEN.get(unicodedata.category(character))
        if character == "\\":
            raise ValueError(f"it contains a backslash (character {place}): use a forward slash")
        if character == " ":
            raise ValueError(f"it contains a space (character {place}): write it as %20, or remove it")
        if what is not None:
            raise ValueError(f"it contains {what} (U+{ord(character):04X}, character {place}): remove it")


def _is_name(host: str) -> bool:
    try:
        # DNS uses the ASCII form of an international name.
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return False
    return len(name) <= _MAX_HOST_CHARACTERS and _NAME.fullmatch(name) is not None
