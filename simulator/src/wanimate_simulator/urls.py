"""URLs of the input, and which hosts are this machine's own.

Source: the vendor's page, "Parameters", and its pages on files and webhooks.
"""

import re
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")
VIDEO_EXTENSIONS = ("mp4", "mov", "m4v")
#: A longer end of a name, or one of digits alone, is no extension.
_EXTENSION = re.compile(r"\.((?=[0-9]*[a-z])[a-z0-9]{1,5})$", re.ASCII)
#: Extensions of server programs, which do not tell the format of the response.
_PROGRAMS = frozenset({"action", "ashx", "asp", "aspx", "cgi", "dll", "do", "jsp", "php", "pl"})


def is_loopback(host: str) -> bool:
    """Tell whether a host is `localhost` or a loopback address; no name is ever resolved."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_http(url: str) -> bool:
    """Tell whether this is an http or https URL with a host."""
    return _split(url) is not None


def is_callback_url(url: str) -> bool:
    """Tell whether the vendor calls this URL: https, or http to this machine."""
    parts = _split(url)
    return parts is not None and (parts.scheme == "https" or is_loopback(parts.hostname or ""))


def has_format(url: str, extensions: tuple[str, ...]) -> bool:
    """Tell whether the path of a URL has one of these extensions, or none."""
    name = unquote(urlsplit(url).path).rpartition("/")[2].lower()
    found = _EXTENSION.search(name)
    return found is None or found[1] in extensions or found[1] in _PROGRAMS


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        is_right = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a broken IPv6 address or port
        return None
    return parts if is_right else None
