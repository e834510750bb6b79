"""Which addresses only this machine, or only its network, reaches."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Final

_LOCAL_DOMAINS: Final = frozenset({"alt", "internal", "invalid", "local", "localhost", "test"})


def is_loopback(host: str) -> bool:
    """Whether a host, a name or an address with or without brackets, is this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def is_public(host: str) -> bool:
    """Whether a host, a name or an address with or without brackets, may be reached from the internet.

    Names are not looked up. One without a dot is not public, nor is one below a domain that never is (RFC 6761, 6762,
    9476).
    """
    try:
        return ip_address(host.strip("[]")).is_global
    except ValueError:
        name = host.lower().rstrip(".")
        return "." in name and name.rpartition(".")[2] not in _LOCAL_DOMAINS
