"""What a URL of a job must look like for the vendor to be able to fetch it."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

MAX_URL_CHARACTERS: Final = 4096

_SCHEMES: Final = ("http", "https")
#: Longest name of a host, and of each of its parts (RFC 1035, 2.3.4).
_MAX_HOST_CHARACTERS: Final = 253
_NAME: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_IPV6_ADDRESS: Final = re.compile(r"\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]")
#: The start of a second URL. One that belongs to the first, as in `https://proxy/https://…` or `?url=https://…`,
#: follows a slash, an equals sign or an escape.
_SECOND_URL: Final = re.compile(r"(?<!%[0-9A-Fa-f]{2})(?<=[\w,;|'\"<>()\[\]{}])https?://", re.IGNORECASE)
#: Unicode categories of what no URL contains unescaped.
_UNSEEN: Final = {
    "Cc": "a control character",
    "Cf": "an invisible character",
    "Co": "a private character",
    "Zl": "a line separator",
    "Zp": "a paragraph separator",
    "Zs": "a space",
}
#: Letters and marks that cannot be seen either (Unicode, Default_Ignorable_Code_Point).
_IGNORABLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: What the vendor takes (vendor document, "Parameters", and its pages on files), by the extensions of URLs.
IMAGE_EXTENSIONS: Final = ("jpg", "jpeg", "png", "webp")
VIDEO_EXTENSIONS: Final = ("mp4", "mov", "m4v")
#: Programs on servers: what they answer with is not known from their names.
_PROGRAMS: Final = frozenset({"action", "ashx", "asp", "aspx", "cgi", "dll", "do", "jsp", "php", "pl"})
#: A longer end of a name, or one of digits alone, is no extension but a version, a host, a hash.
_EXTENSION: Final = re.compile(r"(?=[0-9]*[a-z])[a-z0-9]{1,5}", re.ASCII)


def is_host_allowed(url: str, patterns: str) -> bool:
    """Whether a URL's host is one of those named.

    Args:
        url: The URL, which was checked.
        patterns: Hosts, separated by commas or spaces; `*.example.com` stands for all below that. None named: any.
    """
    host, wanted = (urlsplit(url).hostname or "").lower(), patterns.lower().replace(",", " ").split()
    return not wanted or any(host.endswith(name[1:]) if name.startswith("*.") else host == name for name in wanted)


def check_http_url(url: str) -> None:
    """Raise a `ValueError` if the vendor could not fetch this URL; it may be signed, so no message quotes it."""
    if len(url) > MAX_URL_CHARACTERS:
        raise ValueError(f"a URL of at most {MAX_URL_CHARACTERS} characters is expected; this has {len(url)}")
    _check_characters(url)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("this is not a URL: the brackets around its host are wrong") from None
    if parts.scheme not in _SCHEMES or not url[len(parts.scheme) :].startswith("://"):
        raise ValueError("an http:// or https:// URL is expected")
    if "@" in parts.netloc:
        raise ValueError("it contains a user name or a password: use a signed URL instead")
    host, has_port, port = parts.netloc.rpartition(":")
    if not has_port or port.endswith("]"):
        host, port = parts.netloc, ""
    if not host:
        raise ValueError(f"the host is missing after {parts.scheme}://")
    if host.lower() in _SCHEMES or _SECOND_URL.search(url, len(parts.scheme) + 3):
        raise ValueError("it contains two URLs: exactly one is allowed")
    if port and not (port.isascii() and port.isdigit() and 0 < int(port[-6:]) <= 65_535):  # noqa: PLR2004 - 16 bits
        raise ValueError("its port is not a number from 1 to 65535")
    if not _IPV6_ADDRESS.fullmatch(host) and not _is_name(host):
        raise ValueError("its host is not a name or an address that can be looked up")


def check_format(url: str, what: str, allowed: tuple[str, ...]) -> None:
    """Raise a `ValueError` if the path of a URL says that the file has a format which the vendor does not take.

    A URL says nothing of the format, and is taken, if its path has no extension or ends in a program such as `.php`.
    Query and fragment do not count.
    """
    # An escaped slash is one of the file's name, as in `/videos%2Fmotion.mp4` of an object store.
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    extension = name.rpartition(".")[2].lower() if "." in name else ""
    if _EXTENSION.fullmatch(extension) and extension not in {*allowed, *_PROGRAMS}:
        formats = ", ".join(allowed[:-1]).upper() + f" or {allowed[-1].upper()}"
        raise ValueError(f"the vendor takes {what} as {formats}, and the path of this URL ends in .{extension}")


def _check_characters(url: str) -> None:
    if url.isascii() and url.isprintable() and " " not in url and "\\" not in url:
        return
    for place, character in enumerate(url, start=1):
        what = "an invisible character" if _IGNORABLE.match(character) else _UNSEEN.get(unicodedata.category(character))
        if character == "\\":
            raise ValueError(f"it contains a backslash (character {place}): a URL has forward slashes")
        if character == " ":
            raise ValueError(f"it contains a space (character {place}): write it as %20, or remove it")
        if what is not None:
            raise ValueError(f"it contains {what} (U+{ord(character):04X}, character {place}): remove it")


def _is_name(host: str) -> bool:
    try:
        # An international name is looked up by its ASCII form.
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        return False
    return len(name) <= _MAX_HOST_CHARACTERS and _NAME.fullmatch(name) is not None
